"""The core measured on a flow: nothing counts before its trades have been found right."""

import json
import stat
import sys
from pathlib import Path

import pytest

import emex
from bench import core, scale
from bench.core import latency, measure
from bench.flows import Flow, Shape, commands_of, make, opened, trade_sums
from engine.errors import EmexError
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import find_rulebook

FLOW = make(Shape(living=200, messages=2000), name="small")


def sums_of(flow: Flow) -> tuple[int, int, int, int]:
    exchange = opened(compile_rulebook(find_rulebook("generic")), 1000)
    first = exchange.command_seq + 1
    commands, ids = commands_of(flow.rows, 1000, first)
    return trade_sums(exchange.submit(commands), ids, first)


def program(folder: Path, text: str) -> Path:
    """Another program, which says that."""
    path = folder / "other"
    path.write_text(f"#!{sys.executable}\nimport sys\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def written(folder: Path, flow: Flow, sums: tuple[int, ...]) -> Path:
    path = folder / f"{flow.name}.bin"
    flow.rows.tofile(path)
    path.with_suffix(".chk").write_text(" ".join(map(str, sums)), encoding="ascii")
    return path


@pytest.mark.parametrize("figure", ["book", "exchange"])
def test_a_figure_comes_with_what_was_verified(figure: str) -> None:
    row = measure(FLOW, figure, runs=3)
    assert (row["trades"], row["qty"], row["value"], row["maker"]) == sums_of(FLOW)
    assert row["verified"].startswith("events of the readable engine")
    assert row["ns_per_message"] in row["runs"]
    assert row["messages_per_second"] == pytest.approx(1e9 / row["ns_per_message"], rel=0.01)


def test_other_trades_give_no_figure() -> None:
    trades, *rest = sums_of(FLOW)
    with pytest.raises(EmexError, match="trades are"):
        measure(FLOW._replace(sums=(trades + 1, *rest)), "book", runs=1)  # type: ignore[arg-type]


def test_another_program_is_asked_for_the_same_flow(tmp_path: Path) -> None:
    size = 32 * len(FLOW.rows)
    there = program(
        tmp_path,
        "import os; assert sys.argv[1:3] == ['-a', '1000']\n"
        f"assert os.path.getsize(sys.argv[3]) == {size}\n"
        "for ns in (10, 20): print('{\"ns_per_message\": %d}' % ns)",
    )
    row = measure(FLOW, "exchange", runs=1, against=there)
    assert row["against_ns"] == 20
    assert row["ratio"] == pytest.approx(20 / row["ns_per_message"], abs=0.001)


@pytest.mark.parametrize("text", ["sys.exit('no such flow')", "print('fast')", "print('{}')"])
def test_a_program_that_says_something_else_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(EmexError, match="expected two lines of JSON"):
        measure(FLOW, "book", runs=1, against=program(tmp_path, text))


def test_latency_is_told_by_kind() -> None:
    row = latency(FLOW, "book", calls=500)
    assert 0 < row["new_p50_us"] <= row["new_p99_us"] <= row["new_p999_us"]
    assert 0 < row["cancel_p50_us"] <= row["cancel_p99_us"]


def test_growth_moves_one_quantity_at_a_time_and_sets_it_beside_the_others() -> None:
    small = Shape(living=100, messages=500)
    points = [scale.Point("accounts", 10, small, accounts=10), scale.Point("accounts", 100, small, accounts=100),
              scale.Point("instruments", 3, small, instruments=3)]  # fmt: skip
    rows = scale.measure(lambda *_: None, runs=1, points=points)
    assert [(row["axis"], row["value"], row["figure"]) for row in rows[:2]] == [
        ("accounts", 10, "book"), ("accounts", 10, "exchange")]  # fmt: skip
    assert len(rows) == 6
    for row, ours, theirs in ((rows[0], 10.0, 5.0), (rows[2], 30.0, 10.0)):
        row |= {"ns_per_message": ours, "against_ns": theirs}
    found = scale.growth(rows, "accounts", "book", 10, 100)
    assert (found["growth"], found["against_growth"], found["ratio"]) == (3.0, 2.0, 1.5)


def test_the_command_prints_what_the_contract_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, FLOW, sums_of(FLOW))
    for options, figure in ((["exchange"], "exchange"), (["exchange", "--unfunded"], "book")):
        with pytest.raises(SystemExit) as ended:
            emex.main(["bench", *options, "--flow", str(path), "--runs", "1", "--json"])
        assert ended.value.code == 0
        told = json.loads(capsys.readouterr().out)
        assert told["figure"] == figure
        assert told["messages"] == len(FLOW.rows)
        assert (told["trades"], told["qty"], told["value"], told["maker"]) == sums_of(FLOW)
        assert told["verified"] == "trades of the .chk file"
        assert told["messages_per_second"] > 0
        assert told["rejects"] >= 0
        assert told["machine"]["engine_digest"]


def test_an_unknown_part_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        emex.main(["bench", "speed"])
    assert ended.value.code == 2
    assert "got speed, expected some of match, exchange" in capsys.readouterr().err


def test_a_core_is_given_back() -> None:
    import os

    before = os.sched_getaffinity(0)
    with core.one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
