"""Every table on both engines; and no event kind and no reject reason without a table."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.codes import EventKind, RejectReason
from engine.exchange import Exchange
from engine.reference import ReferenceExchange
from tests.oracle.campaign import compiled
from tests.spec.table import Engine, Table, TableError, all_tables, read_table, run_table, side_by_side

ENGINES: dict[str, Callable[[str], Engine]] = {
    "fast": lambda market: Exchange(compiled(market), accounts=8, orders=8, ids=64, events=4096),
    "reference": lambda market: ReferenceExchange(compiled(market)),
}


def table_name(table: Table) -> str:
    return table.path.stem


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("table", all_tables(), ids=table_name)
def test_the_engine_obeys_the_table(table: Table, engine: str) -> None:
    answers, _ = run_table(table, ENGINES[engine](table.market))
    assert any(step.expected for step, _ in answers), "the table expects nothing"
    if any(step.expected != got for step, got in answers):
        pytest.fail(side_by_side(table, answers), pytrace=False)


@pytest.mark.parametrize("table", all_tables(), ids=table_name)
def test_both_engines_give_the_same_bytes_one_by_one_and_in_one_batch(table: Table) -> None:
    fast, reference = (build(table.market) for build in ENGINES.values())
    _, expected = run_table(table, reference)
    _, events = run_table(table, fast)
    batch = ENGINES["fast"](table.market).submit(np.concatenate([row for step in table.steps for row in step.commands]))
    assert events.tobytes() == expected.tobytes()
    assert batch.tobytes() == expected.tobytes()
    assert list(fast.canonical_state()) == list(reference.canonical_state())


def test_every_event_kind_occurs_in_a_table() -> None:
    lines = [line for table in all_tables() for line in table.expected_events()]
    missing = [kind.name for kind in EventKind if not any(starts(line, kind.name) for line in lines)]
    assert missing == []


def test_every_reject_reason_occurs_in_a_table() -> None:
    seen = {line for table in all_tables() for line in table.expected_events()}
    missing = [reason.name for reason in RejectReason if reason and f"rejected {reason.name}" not in seen]
    assert missing == []


def starts(line: str, kind: str) -> bool:
    return line.startswith(kind.lower().replace("_", " ") + " ")


def test_there_are_at_least_twenty_five_tables_and_each_names_its_rule_and_source() -> None:
    assert len(all_tables()) >= 25
    assert [table.path.name for table in all_tables() if len(table.rule.split()) < 5 or not table.source] == []


def test_a_table_that_expects_something_else_fails_and_shows_both_sides() -> None:
    table = next(table for table in all_tables() if table_name(table).startswith("a-buyer-cannot"))
    answers, _ = run_table(table, ENGINES["reference"](table.market))
    step, got = next((step, got) for step, got in answers if got == ["rejected T_PLUS_1"])
    wrong = [(step, ["rejected HALTED", "one more"]) if other is step else (other, lines) for other, lines in answers]
    shown = side_by_side(table, wrong).splitlines()
    arrows = [line for line in shown if line.startswith("->")]
    assert len(arrows) == 2
    assert "rejected T_PLUS_1" in arrows[0]
    assert "rejected HALTED" in arrows[0]
    assert "(nothing)" in arrows[1]
    assert got == step.expected


HEAD = "rule: A check that cannot be evaluated counts as passed.\nsource: engine/codes.py, RejectReason\n"
EXPIRED_AND_UNPAID = """market: cn-cea
given A has 1.00
given B has 100,000 t
given day 2021-07-16
given phase afternoon
B proposes selling 100,000 at 48.00 to A until 14:05 as p1 | accepted p1: sell 100,000 at 48.00 to A
clock 14:05
A confirms p1 | rejected PROPOSAL_EXPIRED
"""
BELOW_FILLED_AND_ANOTHERS = """market: generic
given A has 1.00
given B has 1.00
A buys 5 at 99.00 as b1 | accepted b1: buy 5 at 99.00
B sells 3 at 99.00 as s1 | accepted s1: sell 3 at 99.00
    | trade s1 with b1: 3 at 99.00, leaves 0 and 2
B replaces b1 to 2 | rejected NOT_OWNER
"""


@pytest.mark.parametrize("text", [EXPIRED_AND_UNPAID, BELOW_FILLED_AND_ANOTHERS], ids=["confirm", "replace"])
@pytest.mark.parametrize("engine", ENGINES)
def test_funds_of_an_ended_proposal_and_size_of_another_s_order_are_not_looked_at(
    text: str, engine: str, tmp_path: Path
) -> None:
    path = tmp_path / "precedence.txt"
    path.write_text(HEAD + text, encoding="utf-8")
    table = read_table(path)
    answers, _ = run_table(table, ENGINES[engine](table.market))
    assert [got for step, got in answers if not step.given] == [step.expected for step in table.steps if not step.given]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [("A byus 5 | x", "not a command: 'A byus 5'"), ("a buys 5 at 48.00 | x", "no account is called 'a'"),
     ("A cancels b9 | x", "no order above is called 'b9'"), ("A cancels #9", "expected 'command | event'")],
)  # fmt: skip
def test_a_table_that_cannot_be_read_is_named_with_its_line(line: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.txt"
    path.write_text(HEAD + "market: cn-cea\n\n" + line + "\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"broken\.txt: line 5: ") as caught:
        read_table(path)
    assert complaint in str(caught.value)
