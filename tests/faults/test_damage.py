"""The campaign of damaged journals in small, that it would notice, and single damages of their own kind."""

import logging
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.journal import store
from gateway.journal.errors import JournalDamagedError, JournalError
from gateway.journal.store import Commit, Head, Journal
from gateway.journal.witness import Seen
from gateway.recovery import create, recover, snapshots_of
from tests.faults.damage import DAMAGES, OUTCOMES, Case, campaign, lay_out, make_cases, quick_folder


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """Hundreds of warnings about snapshots that are passed over."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture(scope="module")
def journals(folder: Path) -> list[Case]:
    return make_cases(folder, 8, seed=1)


def test_every_damage_is_refused_with_its_place_or_is_none(journals: list[Case], folder: Path) -> None:
    outcomes = campaign(journals, 600, 1, folder)
    total: Counter[str] = sum(outcomes.values(), Counter())
    assert total.total() == 600
    assert all(outcomes[way].total() >= 600 // len(DAMAGES) for way in DAMAGES)
    assert all(total[outcome] > 0 for outcome in OUTCOMES)
    assert total["refused"] > 300
    for way in ("flip log", "log removed", "last rows removed", "rulebook forged, digest fits", "trigger added"):
        assert set(outcomes[way]) == {"refused"}


class Anything(bytes):
    """Differs from nothing."""

    __slots__ = ()
    __hash__ = bytes.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


class AnyTables(dict[str, str]):
    """Differ from none."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def hear_no_witness(patch: pytest.MonkeyPatch) -> None:
    hear = store._hear_witness
    patch.setattr(store, "_hear_witness", lambda *where: Seen(0, Anything(), hear(*where).header))


def believe_every_row(patch: pytest.MonkeyPatch) -> None:
    def trusting(_: Journal, row: tuple[Any, ...], before: Head) -> Commit:
        del before
        number, first_record, records, time_ns, _, digest, payload = row
        return Commit(number, first_record, records, time_ns, payload, digest)

    patch.setattr(Journal, "_verified", trusting)


def take_any_tables(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "_TABLES", AnyTables(store._TABLES))


@pytest.mark.parametrize(
    ("mistake", "noticed"),
    [
        (hear_no_witness, "misses acknowledged commits"),
        (believe_every_row, "a full replay did not notice|other commits|another state"),
        (take_any_tables, "trigger added|table added"),
    ],
    ids=["hears_no_witness", "believes_every_row", "takes_any_tables"],
)
def test_the_campaign_notices_a_journal_that(
    mistake: Any, noticed: str, journals: list[Case], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises((AssertionError, JournalDamagedError), match=noticed):
        campaign(journals, 600, 1, folder)


def test_a_journal_that_is_gone_is_not_begun_anew_over_what_it_had_acknowledged(
    journals: list[Case], tmp_path: Path
) -> None:
    case = journals[0]
    path = lay_out(case, tmp_path / "venue")
    path.unlink()
    with pytest.raises(JournalDamagedError, match="its write-ahead log is here"):
        create(path, "generic")
    path.with_name("journal-wal").unlink()
    with pytest.raises(JournalDamagedError, match=f"commit {case.acknowledged} was acknowledged"):
        create(path, "generic")
    path.with_name("journal.witness").unlink()
    create(path, "generic").journal.close()


def test_what_is_left_of_an_unfinished_creation_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    for suffix in (".new", ".new-journal", ".new-wal"):
        path.with_name(path.name + suffix).write_bytes(b"unfinished" * 100)
    path.with_name("journal.witness").write_bytes(bytes(700))
    create(path, "generic").journal.close()
    again = recover(path).journal
    assert again.head.number == 0
    again.close()


def test_a_list_of_free_pages_that_are_in_use_is_refused(journals: list[Case], tmp_path: Path) -> None:
    path = lay_out(next(case for case in journals if case.name == "closed"), tmp_path / "venue")
    data = bytearray(path.read_bytes())
    first_free, count, page = 32, 36, 4
    data[first_free : first_free + 4] = page.to_bytes(4, "big")
    data[count : count + 4] = (1).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(JournalDamagedError, match=r"commit \d+ \(from record \d+\): the last that can be read: .*free"):
        Journal.open(path)


def test_no_bit_of_an_archives_directory_stops_a_start(journals: list[Case], tmp_path: Path) -> None:
    case = next(case for case in journals if case.name == "closed with snapshots")
    path = lay_out(case, tmp_path / "venue")
    file = max(path.with_name("journal.snapshots").iterdir())
    whole, rng = file.read_bytes(), random.Random(1)
    passed_over = 0
    for at in rng.sample(range(len(whole) - 1500, len(whole)), 150) + list(range(60)):
        data = bytearray(whole)
        data[at] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
        numbers = [snapshot.number for snapshot in snapshots_of(path).newest()]
        assert len(numbers) in {1, 2}
        passed_over += len(numbers) == 1
    assert passed_over > 50


def test_an_unfinished_snapshot_is_cleared_away_by_the_next(journals: list[Case], tmp_path: Path) -> None:
    path = lay_out(next(case for case in journals if case.name == "closed with snapshots"), tmp_path / "venue")
    left = path.with_name("journal.snapshots") / "000000000000007.tmp"
    left.write_bytes(b"half of it")
    snapshots = snapshots_of(path)
    snapshots.write(next(iter(snapshots.newest())))
    assert not left.exists()


def test_a_journal_that_is_being_read_waits_then_says_so(
    journals: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_READERS_MS", 20)
    path = lay_out(next(case for case in journals if case.name == "running"), tmp_path / "venue")
    reading = Journal.read_only(path).commits()
    next(reading)
    with pytest.raises(JournalError, match="is being read by another process"):
        Journal.open(path)
    assert len(list(reading)) > 0
    Journal.open(path).close()
