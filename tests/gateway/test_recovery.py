"""A venue's way back: journal, snapshots, and what `emex verify` says of them."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.codes import CommandKind, EventKind, Phase
from engine.core.apply_ledger import apply_ledger
from engine.core.apply_other import apply_other
from engine.core.apply_screen import apply_screen
from engine.digest import state_digest
from engine.records import command, empty_commands
from gateway import recovery
from gateway.desk.replica import Replica
from gateway.desk.reports import write_reports
from gateway.journal.errors import JournalDamagedError, JournalError
from gateway.journal.snapshots import Snapshot
from gateway.recovery import Venue, create, recover
from gateway.verify import export, verify
from gateway.wire.records import RECORD

ACCOUNTS = np.arange(2, 8)


def grow(venue: Venue, commits: int, seed: int) -> None:
    """Random orders, cancels and replaces of six accounts, in commits of one to twenty."""
    rng = np.random.default_rng(seed)
    seqs = {int(a): venue.replica.principal(int(a)).last_seq for a in ACCOUNTS}
    for _ in range(commits):
        records = np.zeros(int(rng.integers(1, 20)), RECORD)
        commands = empty_commands(len(records))
        if venue.journal.head.number == 0:
            records = np.zeros(len(ACCOUNTS), RECORD)
            commands = empty_commands(len(records))
            commands["kind"], commands["account"], commands["flags"] = CommandKind.OPEN_ACCOUNT, ACCOUNTS, 0
        else:
            commands["kind"] = rng.choice(
                [CommandKind.NEW] * 3 + [CommandKind.CANCEL, CommandKind.REPLACE], len(records)
            )
            commands["account"] = rng.choice(ACCOUNTS, len(records))
            commands["instrument"], commands["side"] = 0, rng.integers(1, 3, len(records))
            commands["qty"], commands["price_fen"] = (
                rng.integers(1, 9, len(records)),
                rng.integers(990, 1011, len(records)),
            )
            commands["ord_type"], commands["target_id"] = 2, rng.integers(1, 200, len(records))
            records["principal"] = commands["account"]
            for row in records:
                seqs[int(row["principal"])] += 1
                row["seq"] = seqs[int(row["principal"])]
        commands["time_ns"] = venue.replica.last_ns + 1
        records["command"] = commands
        venue.journal.append(records.tobytes(), len(records), int(commands["time_ns"][0]))
        venue.replica.apply(records)


def snapshot(venue: Venue) -> Path:
    head = venue.journal.head
    return venue.snapshots.write(Snapshot(head.number, head.digest.hex(), venue.replica.save()))


def same(one: Replica, other: Replica) -> bool:
    ours, theirs = one.save(), other.save()
    digests = [state_digest(replica.exchange.canonical_state()) for replica in (one, other)]
    return digests[0] == digests[1] and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_a_venue_comes_back_as_it_was(tmp_path: Path) -> None:
    venue = create(tmp_path / "journal", "generic")
    grow(venue, 60, seed=1)
    venue.journal.close()
    again = recover(tmp_path / "journal")
    assert same(again.replica, venue.replica)
    assert (again.replayed, again.book.rules_hash) == (60, venue.book.rules_hash)
    again.journal.close()


def test_a_recovery_compiles_nothing_that_the_running_venue_had_not(tmp_path: Path) -> None:
    venue = create(tmp_path / "journal", "generic")
    grow(venue, 30, 1)
    for _ in range(20):  # commits of one record, whose rows lie in memory as they were read
        records = np.zeros(1, RECORD)
        records["command"] = empty_commands(1)
        records["command"]["kind"], records["command"]["account"] = CommandKind.MASS_CANCEL, 2
        records["command"]["time_ns"] = venue.replica.last_ns + 1
        venue.journal.append(records.tobytes(), 1, venue.replica.last_ns + 1)
        venue.replica.apply(records)
    venue.journal.close()
    kernels = apply_screen, apply_ledger, apply_other, write_reports
    before = [len(getattr(kernel, "signatures", ())) for kernel in kernels]
    again = recover(tmp_path / "journal")
    assert [len(getattr(kernel, "signatures", ())) for kernel in kernels] == before
    assert same(again.replica, venue.replica)
    again.journal.close()


def test_a_journal_with_commits_of_which_no_account_is_told_replays(tmp_path: Path) -> None:
    venue = create(tmp_path / "journal", "generic")
    for kind, fields in ((CommandKind.PHASE, {"phase": Phase.CLOSED}), (CommandKind.DAY_ROLL, {"date": 20300102}),
                         (CommandKind.PHASE, {"phase": Phase.OPEN})):  # fmt: skip
        records = np.zeros(1, RECORD)
        records["command"] = command(kind, time_ns=venue.replica.last_ns + 1, **fields)
        venue.journal.append(records.tobytes(), 1, venue.replica.last_ns + 1)
        assert venue.replica.apply(records).reports == {}
    grow(venue, 5, 1)
    venue.journal.close()
    again = recover(tmp_path / "journal")
    assert again.replica.exchange.today() == (Phase.OPEN, 20300102)
    assert same(again.replica, venue.replica)
    again.journal.close()
    assert all(verify(tmp_path / "journal")["invariants"].values())


@pytest.mark.parametrize("seed", range(8))
def test_a_snapshot_and_the_commits_after_it_are_the_whole_replay(tmp_path: Path, seed: int) -> None:
    venue = create(tmp_path / "journal", "generic")
    grow(venue, 20 + seed, seed)
    snapshot(venue)
    grow(venue, 13, seed + 100)
    venue.journal.close()
    again = recover(tmp_path / "journal")
    assert again.replayed == 13
    assert same(again.replica, venue.replica)
    grow(again, 5, seed + 200)
    again.journal.close()
    result = verify(tmp_path / "journal")
    assert result["invariants"] == {"chain": True, "conserved": True, "reports": True, "snapshots": True}
    assert result["state_digest"] == state_digest(again.replica.exchange.canonical_state())


def test_a_damaged_snapshot_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    venue = create(tmp_path / "journal", "generic")
    grow(venue, 10, 1)
    snapshot(venue)
    grow(venue, 10, 2)
    newest = snapshot(venue)
    newest.write_bytes(newest.read_bytes()[:-400])
    grow(venue, 10, 3)
    venue.journal.close()
    again = recover(tmp_path / "journal")
    assert again.replayed == 20
    assert same(again.replica, venue.replica)
    again.journal.close()


def test_a_snapshot_of_other_sources_or_of_another_journal_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = create(tmp_path / "journal", "generic")
    grow(venue, 10, 1)
    head = venue.journal.head
    venue.snapshots.write(Snapshot(head.number, "00" * 16, venue.replica.save()))
    venue.journal.close()
    again = recover(tmp_path / "journal")
    assert again.replayed == 10
    snapshot(again)
    again.journal.close()
    monkeypatch.setattr(recovery, "sources_digest", lambda: "another")
    again = recover(tmp_path / "journal")
    assert again.replayed == 10
    again.journal.close()


def test_only_the_last_two_snapshots_stay(tmp_path: Path) -> None:
    venue = create(tmp_path / "journal", "generic")
    for seed in range(4):
        grow(venue, 2, seed)
        snapshot(venue)
    assert len(list((tmp_path / "journal.snapshots").iterdir())) == 2
    venue.journal.close()


def test_the_journal_keeps_the_rulebook_it_was_written_under(tmp_path: Path) -> None:
    rules = tmp_path / "mine.toml"
    rules.write_bytes(Path("engine/rules/markets/generic.toml").read_bytes())
    venue = create(tmp_path / "journal", str(rules))
    grow(venue, 5, 1)
    venue.journal.close()
    rules.write_text("gone", encoding="utf-8")
    again = recover(tmp_path / "journal")
    assert again.book.rules_hash == venue.book.rules_hash
    again.journal.close()


def test_something_else_is_refused_with_a_reason(tmp_path: Path) -> None:
    other = tmp_path / "journal"
    other.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(JournalDamagedError, match="cannot be"):
        recover(other)
    with pytest.raises(JournalError, match="no such journal"):
        recover(tmp_path / "missing")


def test_verify_finds_a_snapshot_that_is_not_what_the_journal_says(tmp_path: Path) -> None:
    venue = create(tmp_path / "journal", "generic")
    grow(venue, 10, 1)
    head, tables = venue.journal.head, venue.replica.save()
    tables["exchange.accounts"][3, 2] += 1
    venue.snapshots.write(Snapshot(head.number, head.digest.hex(), tables))
    venue.journal.close()
    assert verify(tmp_path / "journal")["invariants"]["snapshots"] is False


def test_the_journal_can_be_exported_while_it_is_written(tmp_path: Path) -> None:
    venue = create(tmp_path / "journal", "generic")
    grow(venue, 30, 1)
    result = export(tmp_path / "journal", tmp_path / "out")
    commands, events = (pq.read_table(file) for file in result["files"])
    assert len(commands) == venue.journal.head.records == result["commands"]
    assert len(events) == venue.replica.exchange.event_seq
    assert commands["kind"][0].as_py() == "open_account"
    assert set(events["kind"].to_pylist()) <= {kind.name.lower() for kind in EventKind}
    assert json.dumps(result)
    venue.journal.close()
