"""Fast engine against reference over random commands: every event, every state, every split.

    python -m tests.oracle.campaign [COMMANDS] [FIRST_SEED] [RULEBOOK ...]

Runs COMMANDS in all, spread over the rulebooks (tiny ones, made to hit every rule, and every shipped market), on two
processes. Prints one line a rulebook and stops at the first difference with the seed that shows it.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from engine.codes import EventKind, RejectReason, Side
from engine.digest import EventDigest, state_digest
from engine.exchange import Exchange, compile_all
from engine.feed.depth import DepthFeed
from engine.records import EVENT
from engine.reference import ReferenceExchange
from engine.rules.compiler import CompiledRules, compile_rulebook
from engine.rules.schema import MARKETS, find_rulebook, read_rulebook
from tests.oracle.commands import View, opening_commands, random_commands

_PIECE = 5_000
"""Commands of one job: a book that never expires grows, and with it the time to check all of it."""
LIVING_COLUMNS = 14
"""Rows of this length in a canonical state are living entries."""
RULEBOOKS = Path(__file__).parent / "rulebooks"
TINY_NAMES = tuple(sorted(path.stem for path in RULEBOOKS.glob("*.toml")))
NAMES = (*TINY_NAMES, *sorted(path.stem for path in MARKETS.glob("*.toml")))


def compiled(name: str) -> CompiledRules:
    """A tiny rulebook of this folder, or a shipped market."""
    path = RULEBOOKS / f"{name}.toml"
    return compile_rulebook(read_rulebook(path) if path.is_file() else find_rulebook(name))


def run(name: str, seed: int, count: int, *, engines_check: bool = True) -> dict[str, int]:
    """Compare the engines over `count` commands; raises AssertionError at the first difference.

    Returns how often each event kind and reject reason occurred.
    """
    rng = np.random.default_rng([seed, sum(name.encode())])
    rules = compiled(name)
    fast, slow = Exchange(rules), ReferenceExchange(rules)
    tight = Exchange(rules, accounts=2, orders=2, ids=4, events=8)
    opening = int(rng.integers(2013, 2025)) * 10_000 + 101
    digests = EventDigest(), EventDigest()
    seen: dict[str, int] = {}
    depth = DepthFeed()
    done = 0
    while done < count:
        view = View.of(slow)
        size = int(min(rng.integers(1, 120), count - done))
        rows = random_commands(rng, size, done + 1, view) if done else opening_commands(view, date=opening)
        size = len(rows)
        where = f"rulebook {name}, seed {seed}, commands {done} to {done + size}"
        events = fast.submit(rows)
        expected = []
        for row in range(size):
            expected.append(slow.submit(rows[row : row + 1]))
            if engines_check:
                slow.check()
        assert events.tobytes() == np.concatenate(expected).tobytes(), describe(events, np.concatenate(expected), where)
        assert list(fast.canonical_state()) == list(slow.canonical_state()), where
        fast.check()
        depth.update(events)
        for side in Side:
            assert depth.levels(side, 1000) == displayed(slow, side), f"{where}: depth feed"
        digests[0].update(events)
        cut = int(rng.integers(0, size + 1))
        for part in (rows[:cut], rows[cut:]):
            digests[1].update(tight.submit(part))
        done += size
        for kind in EventKind:
            seen[kind.name] = seen.get(kind.name, 0) + int((events["kind"] == kind).sum())
        for reason in RejectReason:
            seen[reason.name] = seen.get(reason.name, 0) + int((events["reason"] == reason).sum())
    tight.check()
    assert digests[0].hexdigest() == digests[1].hexdigest(), f"{name}, seed {seed}: another split, other bytes"
    assert state_digest(fast.canonical_state()) == state_digest(tight.canonical_state())
    return seen


def displayed(venue: ReferenceExchange, side: Side) -> list[tuple[int, int]]:
    """The first instrument's book as (price, tonnes), best first."""
    day = venue._days[0]
    return [(price, sum(order.leaves for order in day.book[side][price])) for price in venue._prices(day, side)]


def describe(events: np.ndarray, expected: np.ndarray, where: str) -> str:
    """The first event that differs, field by field."""
    for got, want in zip(events, expected, strict=False):
        if got != want:
            fields = [f"{n}: fast {got[n]} reference {want[n]}" for n in EVENT.names or () if got[n] != want[n]]
            return f"{where}: event {want['seq']} (kind {want['kind']}): {'; '.join(fields)}"
    return f"{where}: {len(events)} events, reference {len(expected)}"


def part(job: tuple[str, int, int]) -> tuple[str, dict[str, int]]:
    """One job of a campaign: rulebook, seed, commands."""
    return job[0], run(*job)


def main() -> None:
    """The long campaign (default 10,000,000 commands)."""
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    names = sys.argv[3:] or NAMES
    each = -(-total // len(names))
    compile_all()
    jobs = [(name, first + n, min(_PIECE, each - n * _PIECE)) for name in names for n in range(-(-each // _PIECE))]
    done, trades = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    with ProcessPoolExecutor(2) as pool:
        for (name, _, count), (_, seen) in zip(jobs, pool.map(part, jobs), strict=True):
            done[name] += count
            trades[name] += seen["TRADE"]
            if done[name] == each:
                print(f"{name}: {each:,} commands, {trades[name]:,} trades: equal, conserved, any split", flush=True)
    print(f"{sum(done.values()):,} commands from seed {first} on {len(names)} rulebooks without a difference")


if __name__ == "__main__":
    main()
