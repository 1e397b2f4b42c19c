"""The campaign of power cuts in small, and that it would notice: each planted mistake breaks a promise."""

import contextlib
from pathlib import Path
from typing import Any

import apsw
import pytest

from gateway.journal import store
from gateway.journal.disk import Disk
from gateway.journal.errors import JournalDamagedError, JournalError, JournalFailedError
from gateway.journal.store import Journal
from gateway.journal.witness import Seen, Witness
from tests.faults.disk import Fault, FaultyDisk
from tests.faults.power import WORK, campaign


def test_no_power_cut_loses_what_was_acknowledged(tmp_path: Path) -> None:
    counts = campaign(cuts=400, seed=1, commits=6, folder=tmp_path)
    assert counts["cuts"] == 400
    assert counts["stories cut at every call"] >= 1
    places = {"make", "read", "write", "grow", "truncate", "sync", "sync folder", "rename", "remove"}
    assert all(counts[f"at {place}"] > 0 for place in places)
    assert counts["before there was a journal"] > 20
    assert counts["cut again in recovery"] > 20
    assert counts["found the commit on its way"] > 20
    assert counts["lost the commit on its way"] > 20
    assert all(counts[fault] > 10 for fault in WORK)


def fail_in_a_commit_then_cut(folder: Path, fault: Fault, call: int, seed: int) -> int:
    """The process fails in its second commit, another finds what there is, and then the power is cut.

    Returns how many commits were found. Raises AssertionError where fewer are left.
    """
    disk = FaultyDisk(folder, seed)
    journal = Journal.create(disk.path, {}, disk=disk)
    journal.append(b"first", 1, 1)
    disk.plan(fault, call)
    with contextlib.suppress(JournalFailedError):
        journal.append(b"second" * 1000, 1, 2)
    with contextlib.suppress(JournalFailedError):
        journal.close()
    disk.reboot()
    journal = Journal.open(disk.path, disk=disk)
    found = journal.head.number
    disk.die()
    with contextlib.suppress(JournalFailedError):
        journal.close()
    disk.survive()
    journal = Journal.open(disk.path, disk=disk)
    left = journal.head.number
    journal.close()
    disk.unregister()
    assert left == found, f"{fault} at call {call}, seed {seed}: {found} commits were found, {left} are left"
    return found


@pytest.mark.parametrize("fault", [Fault.KILL, Fault.SYNC])
def test_what_a_start_has_found_outlives_a_power_cut(fault: Fault, tmp_path: Path) -> None:
    found = {fail_in_a_commit_then_cut(tmp_path, fault, call, seed) for call in range(1, 10) for seed in range(10)}
    # The cache shows a commit whose fsync has failed.
    assert found == ({2} if fault is Fault.SYNC else {1, 2})


def commit_without_fsync(patch: pytest.MonkeyPatch) -> None:
    connect = store._connect

    def hasty(*args: Any) -> apsw.Connection:
        db = connect(*args)
        db.execute("PRAGMA synchronous = NORMAL").fetchall()
        return db

    patch.setattr(store, "_connect", hasty)


def make_the_journal_in_its_place(patch: pytest.MonkeyPatch) -> None:
    beside = store._beside
    patch.setattr(store, "_beside", lambda path, suffix: beside(path, suffix.replace(".new", "")))


def forget_the_folder(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FaultyDisk, "sync_folder", Disk.size)


def tell_the_witness_first(patch: pytest.MonkeyPatch) -> None:
    append = Journal.append

    def boastful(journal: Journal, payload: bytes, records: int, time_ns: int) -> int:
        first = journal.head.records + 1
        number = journal.head.number + 1
        digest = store._commit_digest(journal.head.digest, number, first, records, time_ns, payload)
        journal._witness.write(Seen(number, digest, journal._begin))  # type: ignore[union-attr]
        return append(journal, payload, records, time_ns)

    patch.setattr(Journal, "append", boastful)


def begin_the_witness_without_fsync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Witness, "sync", lambda _: None)


@pytest.mark.parametrize(
    "mistake",
    [
        commit_without_fsync, make_the_journal_in_its_place, forget_the_folder, tell_the_witness_first,
        begin_the_witness_without_fsync,
    ],
    ids=lambda mistake: mistake.__name__,
)  # fmt: skip
def test_the_campaign_notices_a_journal_that_would(
    mistake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises((AssertionError, JournalError)):
        campaign(cuts=2000, seed=1, commits=6, folder=tmp_path)


@pytest.mark.parametrize("fault", [Fault.KILL, Fault.SYNC])
def test_a_start_that_only_reads_would_be_noticed(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_fold", lambda _: True)
    with pytest.raises((AssertionError, JournalDamagedError), match=r"2 commits were found, 1 are left|commit 2 was"):
        test_what_a_start_has_found_outlives_a_power_cut(fault, tmp_path)
