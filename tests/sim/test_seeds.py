"""The table over seeds: what passes, what is not counted, and when the table is good enough."""

from pathlib import Path
from typing import Any

import pytest

from sim import seeds
from sim.seeds import Row, Totals, markdown, summarise, totals


def row(name: str, value: float | None, passed: bool | None, kind: str = "evidence") -> Row:  # noqa: FBT001
    return {
        "name": name, "kind": kind, "recorded": 0.5, "unit": "share", "low": 0.4, "high": None, "null_pass_rate": None,
        "value": value, "passed": passed, "note": "",
    }  # fmt: skip


def column(*values: float | None, kind: str = "evidence") -> list[list[Row]]:
    """One check over seeds; None is undefined."""
    return [[row("made_up", value, None if value is None else value >= 0.4, kind)] for value in values]


def test_a_check_passes_from_eight_of_ten_seeds_on() -> None:
    held = {n: summarise(column(*[0.5] * n, *[0.3] * (10 - n)))[0] for n in (7, 8)}
    assert [(held[n]["held"], held[n]["passed"]) for n in (7, 8)] == [(0.7, False), (0.8, True)]


def test_percentiles_leave_out_the_ends() -> None:
    (found,) = summarise(column(*[value / 10 for value in range(10)]))
    assert (found["p10"], found["median"], found["p90"]) == (0.1, 0.5, 0.8)


def test_undefined_in_every_seed_is_not_counted_and_in_some_does_not_hold() -> None:
    (never,), (seldom,) = summarise(column(*[None] * 10)), summarise(column(*[0.5] * 7, *[None] * 3))
    assert (never["held"], never["passed"], never["median"]) == (None, None, None)
    assert (seldom["held"], seldom["passed"]) == (0.7, False)
    assert totals([never, seldom]) == Totals(held=0, checks=1, evidence_held=0, evidence=1)


@pytest.mark.parametrize(
    ("counts", "enough"),
    [
        ((8, 10, 3, 5), True),
        ((7, 10, 5, 5), False),
        ((9, 10, 2, 5), False),
        ((8, 10, 0, 0), True),
        ((0, 0, 0, 0), True),
    ],
)
def test_wanted_are_80_percent_of_all_and_60_percent_of_the_evidence(counts: tuple[int, ...], enough: bool) -> None:  # noqa: FBT001
    assert Totals(*counts).enough is enough


def test_kinds_other_than_evidence_count_among_all() -> None:
    rows = summarise(column(*[0.5] * 10, kind="fitted")) + summarise(column(*[0.3] * 10))
    assert totals(rows) == Totals(held=1, checks=2, evidence_held=0, evidence=1)
    assert str(totals(rows)).startswith(
        "1 of 2 checks pass (50.0%, wanted 80%); of those that are evidence 0 of 1 (0.0%"
    )


def test_markdown_has_a_line_for_each_check_and_says_its_verdict() -> None:
    some = ([0.5] * 10, [0.3] * 10, [None] * 10)
    rows = [{"season": "x", "own": None, **summarise(column(*values))[0]} for values in some]
    lines = markdown(rows, "Title", ["closing"]).splitlines()
    assert lines[:2] == ["# Title", ""]
    table = [line for line in lines if "|" in line]
    assert [line.count("|") for line in table] == [13] * 5
    assert [line.split("|")[-2].strip() for line in table[2:]] == ["PASS", "FAIL", "undefined"]
    assert "| x | made_up | evidence | 50.0% | ≥ 40.0% | 50.0% |" in table[2]
    assert lines[-1] == "- closing"


@pytest.mark.parametrize(("value", "status"), [(0.5, 0), (0.3, 1)])
def test_the_command_writes_the_table_and_ends_with_its_verdict(
    value: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def made_up(*_: Any) -> list[list[Row]]:
        return [[{**only, "name": "block_share"}] for (only,) in column(*[value] * 10)]

    monkeypatch.setattr(seeds, "many", made_up)
    monkeypatch.setattr("sys.argv", ["seeds", "cea-2021", "--markdown", str(tmp_path / "table.md")])
    assert seeds.main() == status
    assert "all seasons: " in capsys.readouterr().out
    text = (tmp_path / "table.md").read_text("utf-8")
    assert "| cea-2021 | block_share |" in text
    assert "one of the model's own seasons in the record's place: at most 100.0% of all checks pass on average" in text
    assert "cea-2021: volume_volatility is not asked: the season's own record gives 0.03" in text
