"""Damaged journals: every damage is refused with its place, or it is none.

    python -m tests.faults.damage [--count 10000] [--seed 1]

Journals of a real desk are left closed, or running (a live write-ahead log), some with snapshots, some with a commit on
its way that nobody was told of. Each is damaged in one of the ways of `DAMAGES`, then verified and recovered:

    refused        recovery raises `JournalDamagedError` and leaves the files as they are
    verified       the damage lies before a snapshot, whose state is right; `emex verify` finds it
    passed over    the damage is a snapshot's; the journal is replayed to the same state
    cut            the commit on its way is gone; all that was acknowledged is there
    harmless       nothing that counts was touched: all commits, the state, and what is committed after it are right
    undetected     anything else; there must be none

Where one known row is damaged the message must name it.
"""

import argparse
import json
import logging
import os
import random
import re
import shutil
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import numpy as np
import pytest
import structlog

from engine.digest import state_digest
from gateway.journal import store
from gateway.journal.errors import JournalDamagedError
from gateway.journal.snapshots import Snapshot
from gateway.journal.store import Commit, Journal
from gateway.recovery import Venue, create, recover
from gateway.verify import verify
from gateway.wire.records import RECORD
from tests.desk.venue import venue_with
from tests.faults.power import RULES, records_in, time_of, trade

NAMED = re.compile(r"commit (\d+) \((?:from|up to) record \d+\)")
PLACED = re.compile(r"commit \d+ \((from |up to )?record \d+\)|\(before commit 1, record 1\)|witness")
OUTCOMES = "refused", "verified", "passed over", "cut", "harmless"
FRAME_HEADER, WAL_HEADER, PAGE = 24, 32, 4096
MORE = 3
"""Commits made after a recovery, to see that it can be built on."""


@dataclass(frozen=True)
class Case:
    """A journal as it was left, and what it says."""

    name: str
    files: dict[str, bytes]
    earlier: dict[str, bytes]
    """The same journal some commits before."""
    commits: list[Commit]
    """All of them, and the one on its way."""
    acknowledged: int
    header: dict[str, str]
    begin: bytes
    """Digest of the header."""
    digests: list[str]
    """State after each commit, from none."""
    payloads: list[bytes]
    """By number from 1, more than were committed."""
    replayed: int
    """Commits that no snapshot contains."""


def make_case(folder: Path, seed: int) -> Case:
    """A journal of random length, left in one of four ways, with snapshots or without."""
    folder.mkdir()
    rng = random.Random(seed)
    left = ("closed", "running", "running", "on its way")[seed % 4]
    snapshots = seed % 8 >= 4
    desk, people = venue_with("anna", "ben", "chen", rules=RULES)
    count = rng.randint(12, 30)
    payloads = [b"", *trade(rng, desk, people, count + MORE)]
    venue = create(folder / "journal", RULES)
    journal, digests = venue.journal, [state_digest(venue.replica.exchange.canonical_state())]
    earlier: dict[str, bytes] = {}
    files: dict[str, bytes] = {}
    fold_at, snapshots_at = rng.randint(3, count - 5), rng.sample(range(3, count), 2)
    for number in range(1, count + 1):
        if number == count // 2:
            earlier = files_of(folder)
        witness = (folder / "journal.witness").read_bytes()
        journal.append(payloads[number], records_in(payloads[number]), time_of(payloads[number]))
        venue.replica.apply(np.frombuffer(payloads[number], RECORD))
        digests.append(state_digest(venue.replica.exchange.canonical_state()))
        if number == fold_at:
            journal.checkpoint()
            journal.empty_log()
        if snapshots and number in snapshots_at:
            venue.snapshots.write(Snapshot(number, journal.head.digest.hex(), venue.replica.save()))
    commits, begin = list(journal.commits()), journal.digest_at(0)
    if left != "closed":
        files = files_of(folder)
    journal.close()
    files = files or files_of(folder)
    if left == "on its way":
        files["journal.witness"] = witness
    name = f"{left}{' with snapshots' if snapshots else ''}"
    acknowledged, replayed = count - (left == "on its way"), count - (max(snapshots_at) if snapshots else 0)
    return Case(
        name, files, earlier, commits, acknowledged, dict(journal.header), begin, digests, payloads, replayed
    )  # fmt: skip


def make_cases(folder: Path, count: int, seed: int) -> list[Case]:
    """So many different ones; eight are one of each sort."""
    return [make_case(folder / f"journal{number}", seed + number) for number in range(count)]


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything that belongs to the journal there, by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix not in {".lock", ".tmp"} and not path.name.endswith("-shm")}  # fmt: skip


# ------------------------------------------------------------------------------------------------ kinds of damage

Damage = Callable[[random.Random, Path, Case, Case], set[int]]
"""Given luck, where the journal lies, what it was, and another one. Returns commits of which one must be named."""
DAMAGES: dict[str, Damage] = {}


class NotThisCaseError(Exception):
    """Such a journal cannot be damaged so."""


def flip(rng: random.Random, data: bytearray) -> None:
    """One bit, or some."""
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def truncate(rng: random.Random, data: bytearray) -> None:
    """At any byte."""
    del data[rng.randrange(len(data)) :]


def zero(rng: random.Random, data: bytearray) -> None:
    """A sector or a page."""
    size = rng.choice((512, PAGE))
    at = rng.randrange(-(-len(data) // size)) * size
    end = min(at + size, len(data))
    data[at:end] = bytes(end - at)


def misplace(rng: random.Random, data: bytearray) -> None:
    """A sector or a page overwritten by another of the same file."""
    size = rng.choice((512, PAGE))
    if len(data) < 2 * size:
        size = 512
    here, there = (rng.randrange(len(data) // size) * size for _ in "ab")
    data[here : here + size] = data[there : there + size]


def lengthen(rng: random.Random, data: bytearray) -> None:
    """By junk, or by a copy of its own end."""
    size = rng.randint(1, 2 * PAGE)
    data.extend(rng.choice((rng.randbytes(size), bytes(data[-size:]))))


def _in_file(suffix: str, change: Callable[[random.Random, bytearray], None]) -> Damage:
    def damage(rng: random.Random, path: Path, case: Case, other: Case) -> set[int]:
        del case, other
        file = path.with_name(path.name + suffix)
        data = bytearray(file.read_bytes()) if file.exists() else bytearray()
        if not data:
            raise NotThisCaseError
        change(rng, data)
        file.write_bytes(data)
        return set()

    return damage


for _suffix, _file in (("", "file"), ("-wal", "log"), (".witness", "witness")):
    for _change in (flip, truncate, zero, misplace, lengthen):
        DAMAGES[f"{_change.__name__} {_file}"] = _in_file(_suffix, _change)


def _frames(change: Callable[[random.Random, list[bytes], int], None]) -> Damage:
    """Change the list of the log's frames, at one that counts for what was acknowledged."""

    def damage(rng: random.Random, path: Path, case: Case, other: Case) -> set[int]:
        del case, other
        log = path.with_name(path.name + "-wal")
        data = log.read_bytes() if log.exists() else b""
        size = FRAME_HEADER + PAGE
        frames = [data[at : at + size] for at in range(WAL_HEADER, len(data) - size + 1, size)]
        if len(frames) < 3:
            raise NotThisCaseError
        change(rng, frames, rng.randrange(len(frames) - 1))
        log.write_bytes(data[:WAL_HEADER] + b"".join(frames))
        return set()

    return damage


def _drop(rng: random.Random, frames: list[bytes], at: int) -> None:
    del rng, frames[at]


def _double(rng: random.Random, frames: list[bytes], at: int) -> None:
    frames.insert(rng.randrange(len(frames)), frames[at])


def _swap(rng: random.Random, frames: list[bytes], at: int) -> None:
    to = rng.randrange(len(frames))
    frames[at], frames[to] = frames[to], frames[at]


DAMAGES |= {"frame dropped": _frames(_drop), "frame doubled": _frames(_double), "frames swapped": _frames(_swap)}


def _from_elsewhere(suffix: str, *, from_earlier: bool) -> Damage:
    """One of the files replaced by that of another journal, or by its own of an earlier time."""

    def damage(rng: random.Random, path: Path, case: Case, other: Case) -> set[int]:
        del rng
        source = case.earlier if from_earlier else other.files
        name = f"journal{suffix}"
        if not source.get(name) or source[name] == case.files.get(name):
            raise NotThisCaseError
        path.with_name(name).write_bytes(source[name])
        return set()

    return damage


for _suffix, _file in (("", "file"), ("-wal", "log"), (".witness", "witness")):
    DAMAGES[f"{_file} of another journal"] = _from_elsewhere(_suffix, from_earlier=False)
    DAMAGES[f"{_file} of an earlier time"] = _from_elsewhere(_suffix, from_earlier=True)


def _removed(suffix: str) -> Damage:
    def damage(rng: random.Random, path: Path, case: Case, other: Case) -> set[int]:
        del rng, other
        if not case.files.get(f"journal{suffix}"):
            raise NotThisCaseError
        path.with_name(path.name + suffix).unlink()
        return set()

    return damage


DAMAGES |= {"log removed": _removed("-wal"), "witness removed": _removed(".witness")}


def _sql(change: Callable[[random.Random, apsw.Connection, Case], set[int]]) -> Damage:
    """By somebody who has SQLite at hand."""

    def damage(rng: random.Random, path: Path, case: Case, other: Case) -> set[int]:
        del other
        db = apsw.Connection(str(path))
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, rng.choice((0, 1)))
        try:
            with db:
                return change(rng, db, case)
        finally:
            db.close()

    return damage


def _any(rng: random.Random, case: Case) -> int:
    return rng.randint(1, case.acknowledged)


def _row_removed(rng: random.Random, db: apsw.Connection, case: Case) -> set[int]:
    number = _any(rng, case)
    db.execute("DELETE FROM commits WHERE number = ?", (number,))
    return {number}


def _rows_removed(rng: random.Random, db: apsw.Connection, case: Case) -> set[int]:
    """The end of the journal, any length."""
    number = _any(rng, case)
    db.execute("DELETE FROM commits WHERE number >= ?", (number,))
    return {number}


_OTHER_COLUMNS = "first_record, records, time_ns, crc, digest, payload"


def _row_doubled(rng: random.Random, db: apsw.Connection, case: Case) -> set[int]:
    """At the end, in place of the next."""
    head = case.commits[-1]
    query = f"INSERT INTO commits SELECT ?, {_OTHER_COLUMNS} FROM commits WHERE number = ?"  # noqa: S608
    db.execute(query, (head.number + 1, _any(rng, case)))
    return {head.number + 1}


def _row_inserted(rng: random.Random, db: apsw.Connection, case: Case) -> set[int]:
    """Between others, which move up by one."""
    number = _any(rng, case)
    db.execute("UPDATE commits SET number = -number WHERE number >= ?", (number,))
    db.execute("UPDATE commits SET number = 1 - number WHERE number < 0")
    query = f"INSERT INTO commits SELECT ?, {_OTHER_COLUMNS} FROM commits WHERE number = ?"  # noqa: S608
    db.execute(query, (number, number + 1))
    return {number + 1}


def _rows_swapped(rng: random.Random, db: apsw.Connection, case: Case) -> set[int]:
    one, other = sorted(rng.sample(range(1, case.acknowledged + 1), 2))
    db.execute("UPDATE commits SET number = -? WHERE number = ?", (other, one))
    db.execute("UPDATE commits SET number = ? WHERE number = ?", (one, other))
    db.execute("UPDATE commits SET number = ? WHERE number = -?", (other, other))
    return {one, other}


def _row_edited(rng: random.Random, db: apsw.Connection, case: Case) -> set[int]:
    """One column, by a little."""
    number, column = _any(rng, case), rng.choice(("first_record", "records", "time_ns", "crc"))
    db.execute(f"UPDATE commits SET {column} = {column} + ? WHERE number = ?",  # noqa: S608
               (rng.choice((-1, 1, 256)), number))  # fmt: skip
    return {number}


def _payload_edited(rng: random.Random, db: apsw.Connection, case: Case) -> set[int]:
    """With the checksum that fits."""
    number = _any(rng, case)
    payload = bytearray(case.commits[number - 1].payload)
    payload[rng.randrange(len(payload))] ^= 1 << rng.randrange(8)
    db.execute(
        "UPDATE commits SET payload = ?, crc = ? WHERE number = ?", (bytes(payload), zlib.crc32(payload), number)
    )
    return {number}


def _digest_edited(rng: random.Random, db: apsw.Connection, case: Case) -> set[int]:
    number = _any(rng, case)
    db.execute("UPDATE commits SET digest = ? WHERE number = ?", (rng.randbytes(16), number))
    return {number}


def _commit_forged(rng: random.Random, db: apsw.Connection, case: Case) -> set[int]:
    """With the checksum and the digest that fit: it is the next one that does not, or the witness."""
    number = _any(rng, case)
    before = case.commits[number - 2].digest if number > 1 else case.begin
    commit = case.commits[number - 1]
    payload = bytes(reversed(commit.payload))
    digest = store._commit_digest(before, number, commit.first_record, commit.records, commit.time_ns, payload)
    db.execute("UPDATE commits SET payload = ?, crc = ?, digest = ? WHERE number = ?",
               (payload, zlib.crc32(payload), digest, number))  # fmt: skip
    return {min(number + 1, len(case.commits))}


def _row_of_other_types(rng: random.Random, db: apsw.Connection, case: Case) -> set[int]:
    number, column = _any(rng, case), rng.choice(("digest", "payload", "crc", "records", "first_record"))
    value = rng.choice(("text", 1.5, b"\xff\xfe", 7))
    db.execute(f"UPDATE commits SET {column} = ? WHERE number = ?", (value, number))  # noqa: S608
    return {number}


DAMAGES |= {
    "row removed": _sql(_row_removed), "last rows removed": _sql(_rows_removed), "row doubled": _sql(_row_doubled),
    "row inserted": _sql(_row_inserted), "rows swapped": _sql(_rows_swapped), "row edited": _sql(_row_edited),
    "payload edited, checksum fits": _sql(_payload_edited), "digest edited": _sql(_digest_edited),
    "commit forged, checksum and digest fit": _sql(_commit_forged), "row of other types": _sql(_row_of_other_types),
}  # fmt: skip


def _statement(text: str) -> Damage:
    def change(rng: random.Random, db: apsw.Connection, case: Case) -> set[int]:
        del rng, case
        before = db.total_changes()
        db.execute(text)
        assert "TABLE" in text or "TRIGGER" in text or db.total_changes() > before
        return set()

    return _sql(change)


DAMAGES |= {
    "rulebook edited": _statement("UPDATE header SET value = value || ' ' WHERE key = 'rulebook'"),
    "header edited": _statement("UPDATE header SET value = value || '0' WHERE key = 'created_ns'"),
    "header row removed": _statement("DELETE FROM header WHERE key = 'rules_hash'"),
    "header row added": _statement("INSERT INTO header VALUES ('more', 'than was written')"),
    "header digest removed": _statement(f"DELETE FROM header WHERE key = '{store._DIGEST}'"),  # noqa: S608
    "trigger added": _statement("CREATE TRIGGER t AFTER INSERT ON commits BEGIN DELETE FROM commits; END"),
    "table added": _statement("CREATE TABLE more (column)"),
    "table renamed": _statement("ALTER TABLE commits RENAME TO commit_s"),
}


def _rulebook_forged(rng: random.Random, db: apsw.Connection, case: Case) -> set[int]:
    """With the header's digest that fits: the first commit and the witness no longer do."""
    del rng, case
    header = dict(db.execute("SELECT key, value FROM header").fetchall())
    del header[store._DIGEST]
    header["rulebook"] += " "
    db.execute("UPDATE header SET value = ? WHERE key = 'rulebook'", (header["rulebook"],))
    db.execute("UPDATE header SET value = ? WHERE key = ?", (store._header_digest(header).hex(), store._DIGEST))
    return set()


DAMAGES["rulebook forged, digest fits"] = _sql(_rulebook_forged)


def _snapshot(change: Callable[[random.Random, bytearray], None]) -> Damage:
    def damage(rng: random.Random, path: Path, case: Case, other: Case) -> set[int]:
        del case, other
        files = sorted(path.with_name(path.name + ".snapshots").glob("*"))
        if not files:
            raise NotThisCaseError
        for file in files[rng.choice((0, 1, -1)) :]:
            data = bytearray(file.read_bytes())
            change(rng, data)
            file.write_bytes(data)
        return set()

    return damage


for _change in (flip, truncate, zero, misplace, lengthen):
    DAMAGES[f"{_change.__name__} snapshot"] = _snapshot(_change)


def _snapshot_of_another(rng: random.Random, path: Path, case: Case, other: Case) -> set[int]:
    """Under the name of an own one."""
    ours, theirs = ([name for name in one.files if ".snapshots/" in name] for one in (case, other))
    if not ours or not theirs:
        raise NotThisCaseError
    (path.parent / rng.choice(ours)).write_bytes(other.files[rng.choice(theirs)])
    return set()


def _snapshots_exchanged(rng: random.Random, path: Path, case: Case, other: Case) -> set[int]:
    """Each under the name of the other."""
    del rng, other
    ours = [name for name in case.files if ".snapshots/" in name]
    if not ours:
        raise NotThisCaseError
    for name, content in zip(ours, reversed(ours), strict=True):
        (path.parent / name).write_bytes(case.files[content])
    return set()


DAMAGES |= {"snapshot of another journal": _snapshot_of_another, "snapshots exchanged": _snapshots_exchanged}

# ------------------------------------------------------------------------------------------------ what comes of it


def judge(path: Path, case: Case, named: set[int]) -> str:
    """Verify and recover a damaged journal; one of `OUTCOMES`. Raises AssertionError where it went unnoticed."""
    found = _verified(path, case)
    before = files_of(path.parent)
    try:
        venue = recover(path)
    except JournalDamagedError as error:
        refusal = str(error)
    else:
        return _judge_recovered(path, case, venue, found, named)
    assert found, f"recovery refuses ({refusal}), verify finds nothing"
    assert PLACED.search(refusal), f"no place: {refusal}"
    _names(refusal, named)
    if _refused_when_opened(path):
        assert files_of(path.parent) == before, f"a refused journal was changed; {refusal}"
    with pytest.raises(JournalDamagedError, match=re.escape(refusal)):
        recover(path)
    return "refused"


def _refused_when_opened(path: Path) -> bool:
    """Else the damage shows only when all is read, and what was sound has been folded in by then."""
    try:
        Journal.read_only(path)
    except JournalDamagedError:
        return True
    return False


def _judge_recovered(path: Path, case: Case, venue: Venue, found: str, named: set[int]) -> str:
    journal, replica = venue.journal, venue.replica
    try:
        after = len(case.commits) if journal.head.number == len(case.commits) else case.acknowledged
        assert journal.header == case.header, "another header"
        assert journal.head.number == after, f"{journal.head.number} commits, {case.acknowledged} were acknowledged"
        assert state_digest(replica.exchange.canonical_state()) == case.digests[after], "another state"
        if not found:
            assert list(journal.commits()) == case.commits[:after], "other commits"
            for payload in case.payloads[after + 1 : after + 1 + MORE]:
                journal.append(payload, records_in(payload), time_of(payload))
    finally:
        journal.close()
    if found:
        assert venue.replayed < after, "a full replay did not notice"
        _names(found, named)
        return "verified"
    whole = Journal.read_only(path)
    kept = list(whole.commits())
    assert whole.head.number == after + MORE
    assert kept[:after] == case.commits[:after], "what was committed later has spoilt what was there"
    assert [commit.payload for commit in kept] == case.payloads[1 : after + MORE + 1]
    if after < len(case.commits):
        return "cut"
    return "harmless" if venue.replayed == case.replayed else "passed over"


def _verified(path: Path, case: Case) -> str:
    """What `emex verify` finds, nothing when all is well."""
    try:
        result = verify(path)
    except JournalDamagedError as error:
        return str(error)
    if result["fault"]:
        return str(result["fault"])
    # A readable snapshot of another state is told of too, though recovery would pass it over.
    assert all(held for name, held in result["invariants"].items() if name != "snapshots"), result["invariants"]
    assert result["state_digest"] == case.digests[result["commits"]]
    assert result["commits"] >= case.acknowledged, "verify misses acknowledged commits"
    return ""


def _names(text: str, numbers: set[int]) -> None:
    match = NAMED.search(text)
    assert not numbers or (match and int(match[1]) in numbers), f"expected commit {numbers}: {text}"


def lay_out(case: Case, folder: Path) -> Path:
    """The journal's files in an empty folder; returns its path."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "journal"


def campaign(journals: list[Case], count: int, seed: int, folder: Path) -> dict[str, Counter[str]]:
    """So many damages, each way in turn; returns the outcomes of each. Raises AssertionError at the first unnoticed."""
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in DAMAGES}
    done = luck = 0
    while done < count:
        name = list(DAMAGES)[done % len(DAMAGES)]
        luck += 1
        rng = random.Random(seed * 1_000_000 + luck)
        case, other = rng.sample(journals, 2)
        path = lay_out(case, folder / "damaged")
        try:
            named = DAMAGES[name](rng, path, case, other)
            if files_of(path.parent) == case.files:
                continue
            outcomes[name][judge(path, case, named)] += 1
        except NotThisCaseError:
            continue
        except Exception as error:
            error.add_note(f"{name}; journal {case.name}; {len(journals)} journals, seed {seed}, luck {luck}")
            raise
        done += 1
    return outcomes


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: what is tested here is not the disk."""
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def main() -> None:
    """The campaign; the last line is what was counted, as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--journals", type=int, default=24)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began = time.perf_counter()
    with quick_folder() as folder:
        journals = make_cases(folder, options.journals, options.seed)
        outcomes = campaign(journals, options.count, options.seed, folder)
    total: Counter[str] = sum(outcomes.values(), Counter())
    for name, counted in outcomes.items():
        print(f"{name:42} " + ", ".join(f"{counted[outcome]:,} {outcome}" for outcome in OUTCOMES if counted[outcome]))
    print(f"{total.total():,} damages in {len(outcomes)} ways from seed {options.seed}, none unnoticed")
    print(json.dumps({"undetected": 0, "damages": total.total(), "ways": len(outcomes), "seed": options.seed,
                      "seconds": round(time.perf_counter() - began), **total}))  # fmt: skip


if __name__ == "__main__":
    main()
