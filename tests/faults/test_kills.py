"""A venue killed at every place once, and proof that a loss would be noticed. `make kills` does it 300 times."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from engine.codes import EventKind
from tests.faults.kills import LIFE, MARKETS, Books, Life, Tally, campaign, plans_of
from tests.faults.victim import COMMIT, RECOVERY, SNAPSHOT, Place
from tests.faults.witnesses import AT, Record, copy_journal

PLANS = [
    Place.BEFORE_INSERT, Place.WRITING_SNAPSHOT, Place.REPLAYING, Place.DURING_INSERT, Place.BEFORE_RENAME,
    Place.JOURNAL_OPENED, Place.BEFORE_WITNESS, Place.AFTER_RENAME, Place.SNAPSHOT_RESTORED, Place.BEFORE_OUTPUTS,
]  # fmt: skip


def a_report(number: int, **fields: int) -> tuple[int, ...]:
    row = [0] * (len(AT) - 1)
    for name, value in {"priv_seq": number, "exec_type": EventKind.ACCEPTED, **fields}.items():
        row[AT[name]] = int(value)
    return tuple(row)


def put_back(earlier: Path, path: Path) -> None:
    """Replace a journal by what it was: file, log and witness."""
    for suffix in ("", "-wal", "-shm", ".witness"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
        before = earlier.with_name(earlier.name + suffix)
        if before.exists():
            before.rename(path.with_name(path.name + suffix))


@pytest.mark.slow
@pytest.mark.e2e
def test_a_venue_killed_inside_commits_snapshots_and_recoveries_has_lost_nothing() -> None:
    result = asyncio.run(campaign(PLANS, seed=1, markets=MARKETS[2:]))
    assert result["faults"] == []
    assert (result["lost"], result["doubled"], result["changed"]) == (0, 0, 0)
    assert result["places"] == {place.value: PLANS.count(place) for place in Place}
    assert result["commit_was_there"]["before_insert"] == 0
    assert result["commit_was_there"]["before_witness"] == result["commit_was_there"]["before_outputs"] == 1
    assert result["acknowledged"] == result["requests"] > 500
    assert result["streams_compared"] > 10
    assert result["books_compared"] > 3
    assert result["digests_compared"] > 8


@pytest.mark.slow
@pytest.mark.e2e
def test_a_journal_that_has_lost_its_end_is_noticed_by_those_who_were_told(tmp_path: Path) -> None:
    async def lose_the_end() -> Tally:
        tally = Tally()
        life = Life(tmp_path, MARKETS[1], tally, seed=1)
        await life.run(Place.AFTER_RENAME)
        earlier = copy_journal(tmp_path / "journal", tmp_path / "earlier")
        await life.run(Place.AFTER_RENAME)
        put_back(earlier, tmp_path / "journal")
        process = await life._start()
        await asyncio.gather(*(person.enter(process.port) for person in life.people))
        process.kill()
        await process.ended()
        await asyncio.gather(*(person.line.lost() for person in life.people))
        assert any("came back to commit" in fault for fault in tally.faults)
        return tally

    assert asyncio.run(lose_the_end()).lost > 100


@pytest.mark.parametrize("kills", [30, 77, 300])
def test_a_campaign_dies_a_fifth_of_its_deaths_in_each_part_and_recovers_nothing_first(kills: int) -> None:
    plans = plans_of(kills, random.Random(1))
    assert len(plans) == kills
    for group in (COMMIT, SNAPSHOT, RECOVERY):
        assert sum(plan in group for plan in plans) == kills // 5
    assert not any(plan in RECOVERY for plan in plans[::LIFE])


@pytest.mark.parametrize(
    ("second", "doubled", "changed"),
    [
        (a_report(1, ref_seq=7, qty=5), 0, 0),
        (a_report(1, ref_seq=7, qty=6), 0, 1),
        (a_report(2, ref_seq=7, qty=5), 1, 0),
        (a_report(2, ref_seq=8, qty=5), 0, 0),
    ],
)
def test_a_record_notices_a_second_outcome_and_a_report_that_has_changed(
    second: tuple[int, ...], doubled: int, changed: int
) -> None:
    record = Record("anna")
    record.take(a_report(1, ref_seq=7, qty=5))
    record.take(second)
    assert (record.doubled, record.changed, len(record.faults)) == (doubled, changed, doubled + changed)


def test_books_notice_a_fill_that_comes_twice() -> None:
    def book(*reports: dict[str, Any]) -> list[str]:
        books = Books()
        for number, fields in enumerate(reports, 1):
            books.take(a_report(number, order_id=3, **fields))
        return books.faults

    order, fill = {"qty": 9}, {"exec_type": EventKind.TRADE, "exec_id": 4, "qty": 2, "leaves_qty": 7, "side": 1}
    assert book(order, fill) == []
    assert len(book(order, fill, fill)) == 2
