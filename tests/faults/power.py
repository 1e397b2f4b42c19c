"""Power cuts: a venue's journal on a disk that loses what was not synced, cut at every call that reaches the disk.

    python -m tests.faults.power [--cuts 10000] [--seed 1] [--commits 12]

A story is what a venue does with its journal: it makes it, commits what its clients asked, folds the log in, stops and
starts, is killed or has its disk fail in the middle of something and starts again. It is told once without a cut, to
count its calls, and then once for each of them with a cut there. After a cut the next life opens the journal and goes
on, and may be cut as well: in its recovery, in a commit, or just after it has said what it found.

After every start: what was acknowledged is there, byte for byte and in order; so is what an earlier start has found;
beyond that at most the one commit that was on its way; and the replayed state is the one that belongs to that commit.
"""

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.codes import Side
from engine.digest import state_digest
from engine.rules.compiler import CompiledRules
from engine.rules.schema import find_rulebook
from gateway.desk.replica import Replica
from gateway.journal.errors import JournalError
from gateway.journal.store import Commit, Journal
from gateway.recovery import FORMAT
from gateway.wire import messages as m
from gateway.wire.records import BATCH_LIMIT, RECORD, VERSION
from tests.desk.venue import Person, Venue, venue_with
from tests.faults.disk import Fault, FaultyDisk

RULES = "generic"
LIVES = 3
"""After the first cut; the last is not cut."""
SHARE_CUT_AGAIN = 0.5
WORK = {
    Fault.KILL: ("append", "append", "fold", "empty"),
    Fault.SYNC: ("append", "fold", "empty"),
    Fault.FULL: ("append",),
    Fault.SHORT: ("append",),
    Fault.READ: ("fold", "empty"),
}
"""What else goes wrong in every story, and in the middle of what."""


def header() -> dict[str, str]:
    """As a venue writes it."""
    book = find_rulebook(RULES)
    text = book.path.read_text(encoding="utf-8")
    return {"format": FORMAT, "version": str(VERSION), "rules": book.name, "rules_hash": book.rules_hash,
            "rulebook": text}  # fmt: skip


@dataclass(frozen=True)
class Story:
    """Commits of a real desk, and what a venue does between them."""

    seed: int
    header: dict[str, str]
    payloads: list[bytes]
    """By number, from 1; the first is nothing."""
    digests: list[str]
    """State of the engine after each."""
    steps: list[str]
    rules: CompiledRules

    @classmethod
    def of(cls, seed: int, commits: int) -> "Story":
        """The story of that seed."""
        rng = random.Random(seed)
        venue, people = venue_with("anna", "ben", "chen", rules=RULES)
        steps: list[str] = ["append"] * commits
        for step in ("fold", "empty", "stop", *WORK):
            steps.insert(rng.randint(1, len(steps)), step)
        # As many as the first life and the ones after it can commit.
        payloads = [b"", *trade(rng, venue, people, commits + 2 * len(WORK) + 3 * LIVES)]
        replica = Replica(venue.rules)
        digests = [state_digest(replica.exchange.canonical_state())]
        for payload in payloads[1:]:
            replica.apply(np.frombuffer(payload, RECORD))
            digests.append(state_digest(replica.exchange.canonical_state()))
        assert len(set(digests)) == len(digests)
        return cls(seed, header(), payloads, digests, steps, venue.rules)


def trade(rng: random.Random, venue: Venue, people: list[Person], commits: int) -> list[bytes]:
    """What these people ask; the payloads of so many commits, the first of which has opened their accounts."""
    seqs = dict.fromkeys(people, 0)
    while len(venue.journal.commits) < commits:
        for person in rng.sample(people, rng.randint(1, len(people))):
            orders = []
            for _ in range(rng.choice((1, 1, 3, rng.randint(1, BATCH_LIMIT)))):
                seqs[person] += 1
                side, qty, price = rng.choice(list(Side)), rng.randint(1, 9), rng.randint(990, 1010)
                orders.append(m.NewOrderSingle(seqs[person], 0, side, qty, price))
            person.send(*orders)
        venue.turn(rng.random())
    return list(venue.journal.commits)


def records_in(payload: bytes) -> int:
    """Number of records."""
    return len(payload) // RECORD.itemsize


def time_of(payload: bytes) -> int:
    """Time of the last record."""
    return int(np.frombuffer(payload, RECORD)["command"]["time_ns"][-1])


@dataclass
class Promise:
    """What somebody has been told."""

    made: bool = False
    """That there is a journal."""
    commits: int = 0
    """That so many commits are durable."""
    tried: int = 0
    """Nobody was told, but so many were begun."""


class Teller:
    """Tells one story on one disk, life after life, and checks at each start what was promised in those before.

    Parameters
    ----------
    counts : of what happened, added to
    """

    def __init__(self, story: Story, disk: FaultyDisk, counts: Counter[str]) -> None:
        self.promise = Promise()
        self.cuts = 0
        """Of the power, so far."""
        self.recovered = False
        """Whether a start has succeeded."""
        self._story = story
        self._disk = disk
        self._rng = random.Random(story.seed)
        self._written: dict[int, tuple[bytes, int, int]] = {}
        """By number, what was last asked to be committed."""
        self._tries = 0
        self._counts = counts

    def live(self, steps: list[str]) -> bool:
        """One process, from its start; False when the power was cut."""
        journal = None
        try:
            journal = self._start()
            for step in steps:
                journal = self._do(step, journal)
            journal.close()
        except JournalError:
            if not self._disk.power_is_off:
                raise
        finally:
            self._end(journal)
        self.cuts += self._disk.power_is_off
        return not self._disk.power_is_off

    def _end(self, journal: Journal | None) -> None:
        if journal is not None:
            with suppress(JournalError):
                journal.close()

    def _do(self, step: str, journal: Journal) -> Journal:
        match step:
            case "append":
                self._append(journal)
            case "fold":
                journal.checkpoint()
            case "empty":
                journal.empty_log()
            case "stop":
                journal.close()
                return self._start()
            case Fault():
                return self._fail(step, journal)
        return journal

    def _append(self, journal: Journal) -> None:
        number = journal.head.number + 1
        payload = self._story.payloads[number]
        self._tries += 1
        # Another time at each try: what was lost must not come back in the place of what was acknowledged.
        self._written[number] = payload, records_in(payload), time_of(payload) + self._tries
        self.promise.tried = number
        assert journal.append(*self._written[number]) == number
        self.promise.commits = number

    def _fail(self, fault: Fault, journal: Journal) -> Journal:
        """A call fails in the middle of something, and the process ends; another begins on what the cache holds."""
        work = self._rng.choice(WORK[fault])
        if work != "append":
            self._append(journal)
        self._disk.plan(fault, self._rng.randint(1, 8))
        failed = False
        try:
            self._do(work, journal)
        except JournalError:
            if self._disk.power_is_off:
                raise
            failed = True
        assert failed is (fault in self._disk.hits), f"a {fault} passed unnoticed"
        self._counts[fault] += failed
        if not failed:
            self._disk.die()
        self._end(journal)
        self._disk.reboot()
        return self._start()

    def _replay(self, commits: list[Commit]) -> None:
        """Into the state that belongs to the last of them."""
        replica = Replica(self._story.rules)
        for commit in commits:
            replica.apply(np.frombuffer(commit.payload, RECORD))
        assert state_digest(replica.exchange.canonical_state()) == self._story.digests[len(commits)], "another state"
        self._counts["replayed to the same state"] += 1

    def _start(self) -> Journal:
        """Make or open the journal, and see whether it is what was promised."""
        promise, story = self.promise, self._story
        if not self._disk.exists(self._disk.path):
            assert not promise.made, "the journal is gone"
            journal = Journal.create(self._disk.path, story.header, disk=self._disk)
        else:
            journal = Journal.open(self._disk.path, disk=self._disk)
        promise.made = True
        try:
            found = list(journal.commits())
            assert promise.commits <= len(found) <= promise.tried, f"{len(found)} commits, expected {promise}"
            assert journal.head.number == len(found)
            assert [(c.payload, c.records, c.time_ns) for c in found] == [self._written[c.number] for c in found]
            assert journal.header == story.header
            if self.cuts:
                self._replay(found)
        except BaseException:
            self._end(journal)
            raise
        self._counts["found the commit on its way"] += len(found) > promise.commits
        self._counts["lost the commit on its way"] += len(found) < promise.tried
        # Whoever asks again is now answered from what was found.
        promise.commits = promise.tried = len(found)
        self.recovered = True
        return journal


def tell(story: Story, folder: Path, cut: int, seed: int, counts: Counter[str]) -> int:
    """Tell a story with a power cut at call `cut` (0: none) and perhaps later ones; returns the calls of a first life.

    Raises AssertionError where a promise is broken.
    """
    disk, rng = FaultyDisk(folder, seed), random.Random(seed)
    teller = Teller(story, disk, counts)
    try:
        if cut:
            disk.plan(Fault.POWER, cut)
        whole = teller.live(story.steps)
        calls = len(disk.calls)
        assert whole is not bool(cut), f"the cut at call {cut} did not take place"
        if whole:
            assert teller.promise.commits >= story.steps.count("append")
            return calls
        assert calls == cut
        counts[f"at {disk.hits[Fault.POWER].kind}"] += 1
        counts["before there was a journal"] += not teller.promise.made
        for life in range(LIVES):
            disk.survive()
            if life < LIVES - 1 and rng.random() < SHARE_CUT_AGAIN:
                disk.plan(Fault.POWER, rng.randint(1, rng.choice((60, 200))))
            teller.recovered = False
            if not teller.live(["append", "append", rng.choice(("fold", "empty", "stop", "append"))]):
                counts["cut again"] += 1
                counts["cut again in recovery"] += not teller.recovered
        disk.survive()
        assert teller.live([])
        return calls
    finally:
        disk.unregister()


def campaign(cuts: int, seed: int, commits: int, folder: Path) -> dict[str, int]:
    """So many power cuts; every call of every story but the last is cut once. Returns what was counted."""
    counts: Counter[str] = Counter(cuts=0)
    while counts["cuts"] < cuts:
        number = seed + counts["stories"]
        story = Story.of(number, commits)
        counts["stories"] += 1
        calls = tell(story, folder, 0, number, Counter())
        places = list(range(1, calls + 1))
        if calls > cuts - counts["cuts"]:
            places = random.Random(number).sample(places, cuts - counts["cuts"])
        for place in places:
            luck = number * 1_000_000 + place
            try:
                tell(story, folder, place, luck, counts)
            except Exception as error:
                error.add_note(f"story {number} of {commits} commits, cut at call {place} of {calls}, luck {luck}")
                raise
            counts["cuts"] += 1
        if len(places) == calls:
            counts["stories cut at every call"] += 1
            counts["calls of those"] += calls
    return dict(counts)


def main() -> None:
    """The campaign; the last line is what was counted, as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cuts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commits", type=int, default=12)
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        counts = campaign(options.cuts, options.seed, options.commits, Path(folder))
    seconds = round(time.perf_counter() - began)
    print(f"{counts['cuts']:,} power cuts from seed {options.seed}, nothing acknowledged was lost")
    print(json.dumps({"lost": 0, "seed": options.seed, "seconds": seconds, **counts}))


if __name__ == "__main__":
    main()
