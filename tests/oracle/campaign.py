"""Random commands over tiny books: fast against reference, every event, every state, every split.

    python -m tests.oracle.campaign [COMMANDS] [FIRST_SEED]

Prints one line a rulebook and stops at the first difference with the seed that shows it.
"""

import sys
from pathlib import Path

import numpy as np

from engine.codes import CommandKind, EventKind, OrdType, Phase, RejectReason, Role, Rule, Side
from engine.digest import EventDigest, state_digest
from engine.exchange import Exchange
from engine.records import EVENT, empty_commands
from engine.reference import ReferenceExchange
from engine.rules.compiler import CompiledRules, compile_rulebook
from engine.rules.schema import find_rulebook, read_rulebook

LIVING_COLUMNS = 14
"""Rows of this length in a canonical state are living orders."""
RULEBOOKS = Path(__file__).parent / "rulebooks"
NAMES = (*sorted(path.stem for path in RULEBOOKS.glob("*.toml")), "cn-cea", "generic")

_KINDS = np.array([
    *[CommandKind.NEW] * 34, *[CommandKind.CANCEL] * 10, *[CommandKind.REPLACE] * 12, *[CommandKind.CLICK] * 14,
    *[CommandKind.PROPOSE] * 6, *[CommandKind.CONFIRM] * 5, *[CommandKind.DECLINE] * 2, CommandKind.OPEN_ACCOUNT,
    *[CommandKind.OFFER] * 3, *[CommandKind.TAKE] * 4, *[CommandKind.ANNOUNCE] * 2, *[CommandKind.APPLY] * 3,
    *[CommandKind.BID] * 9, *[CommandKind.END_STAGE] * 2, CommandKind.MASS_CANCEL, CommandKind.KILL_SWITCH,
    *[CommandKind.DEPOSIT] * 3, CommandKind.WITHDRAW, *[CommandKind.ISSUE] * 3, CommandKind.SURRENDER,
    CommandKind.FINE, CommandKind.DEDUCT, *[CommandKind.PHASE] * 3, *[CommandKind.DAY_ROLL] * 2,
    CommandKind.SET_RULE, 99,
])  # fmt: skip
_TARGETS = (
    ((CommandKind.CANCEL, CommandKind.REPLACE), (Role.ORDER, Role.OFFER), "owner"),
    ((CommandKind.CONFIRM, CommandKind.DECLINE), (Role.PROPOSAL,), "contra"),
    ((CommandKind.CLICK,), (Role.ORDER,), "taker"),
    ((CommandKind.TAKE,), (Role.OFFER,), ""),
    ((CommandKind.APPLY, CommandKind.BID, CommandKind.END_STAGE), (Role.AUCTION,), ""),
)
"""Kinds, what they name, and as whom: mostly a living target of the right kind."""
_SETTABLE = (*[Rule.BAND_UP_BP] * 3, Rule.BAND_DOWN_BP, Rule.BLOCK_BAND_BP, Rule.TRADABLE, Rule.CLICK_LEVELS,
             Rule.SCREEN_MAX_QTY_T, Rule.UNITS_T_PLUS, Rule.TICK_FEN)  # fmt: skip


def compiled(name: str) -> CompiledRules:
    """A tiny rulebook of this folder, or a shipped market."""
    path = RULEBOOKS / f"{name}.toml"
    return compile_rulebook(read_rulebook(path) if path.is_file() else find_rulebook(name))


def random_commands(
    rng: np.random.Generator, count: int, first_seq: int, alive: np.ndarray, *, real_market: bool
) -> np.ndarray:
    """COMMAND rows, shape (count,), most of them sensible for a tiny book, some of them wrong in one field.

    `alive` are (id, account, contra, side, instrument, role) of what lives, int64, shape (n, 6).
    """
    rows = empty_commands(count)
    rows["kind"] = rng.choice(_KINDS, count)
    rows["time_ns"] = np.arange(first_seq, first_seq + count) * 1000
    rows["client_ref"] = rng.integers(0, 1000, count)
    rows["account"] = rng.choice([0, 1, 2, 3, 4, 5, 9, -1], count, p=[0.01, 0.01, 0.3, 0.3, 0.2, 0.16, 0.01, 0.01])
    rows["contra"] = rng.integers(1, 6, count)
    rows["instrument"] = rng.choice([0, 1, 7], count, p=[0.8, 0.19, 0.01])
    rows["side"] = rng.choice([Side.BUY, Side.SELL, 0], count, p=[0.495, 0.495, 0.01])
    rows["ord_type"] = rng.choice(
        [OrdType.LIMIT, OrdType.MARKET, OrdType.MARKET_TO_LIMIT, 7], count, p=[0.9, 0.06, 0.03, 0.01]
    )
    rows["tif"] = rng.choice([0, 1, 3, 4, 6, 9], count, p=[0.6, 0.1, 0.12, 0.12, 0.05, 0.01])
    conditional = rng.random(count) < 0.1
    rows["min_qty"][conditional] = rng.integers(-1, 6, conditional.sum())
    rows["price_fen"] = rng.integers(4600, 4920, count) if real_market else rng.integers(6, 16, count)
    rows["price_fen"][rng.random(count) < 0.05] = -1
    rows["qty"] = rng.integers(0, 11, count)
    rows["qty"][rng.random(count) < 0.03] = -1
    if real_market:
        blocks = np.isin(rows["kind"], [CommandKind.PROPOSE])
        rows["qty"][blocks] = rng.choice([99_999, 100_000, 120_000], blocks.sum())
        rows["price_fen"][rng.random(count) < 0.05] = 5281
    recent = first_seq + np.arange(count)
    rows["target_id"] = np.maximum(recent - rng.integers(0, 30, count), -1)
    for wanted, roles, actor in _TARGETS:
        pool = alive[np.isin(alive[:, 5], roles)]
        chosen = np.flatnonzero(np.isin(rows["kind"], wanted) & (rng.random(count) < 0.7))
        if len(pool):
            picks = pool[rng.integers(0, len(pool), len(chosen))]
            rows["target_id"][chosen] = picks[:, 0]
            if actor in ("owner", "contra"):
                rows["account"][chosen] = picks[:, 1 if actor == "owner" else 2]
            elif actor == "taker":
                rows["side"][chosen] = Side.BUY + Side.SELL - picks[:, 3]
                rows["instrument"][chosen] = picks[:, 4]
    rows["target_id"][rng.random(count) < 0.02] = -1
    clicks = (rows["kind"] == CommandKind.CLICK) & (rng.random(count) < 0.4)
    rows["target_id"][clicks] = -1
    rows["until_ns"] = np.where(rng.random(count) < 0.3, rows["time_ns"] + rng.integers(0, 90_000, count), -1)
    rows["amount_fen"] = rng.choice([0, 50, 300, 2000, -1], count, p=[0.02, 0.3, 0.4, 0.26, 0.02])
    if real_market:
        rows["amount_fen"] *= 500_000
        issues = rows["kind"] == CommandKind.ISSUE
        rows["qty"][issues] *= 30_000
    rows["group"] = rng.integers(-1, 3, count)
    rows["flags"] = rng.choice(
        [0, 1, 2, 3], count, p=[0.9, 0.05, 0.04, 0.01] if real_market else [0.4, 0.3, 0.25, 0.05]
    )
    rows["phase"] = rng.choice(
        [Phase.AFTERNOON, Phase.MORNING, Phase.BREAK, Phase.CLOSED, Phase.HALTED, Phase.CALL, Phase.OPENING, 77], count,
        p=[0.67, 0.05, 0.02, 0.01, 0.01, 0.2, 0.03, 0.01],
    )  # fmt: skip
    rows["phase"][rng.random(count) < 0.4] = Phase.OPEN if real_market else Phase.AFTERNOON
    of_auctions = np.isin(rows["kind"], [CommandKind.ANNOUNCE, CommandKind.APPLY, CommandKind.BID])
    bounded = of_auctions & (rng.random(count) < 0.3)
    rows["limit_price_fen"][bounded] = rows["price_fen"][bounded] + rng.integers(-1, 5, bounded.sum())
    rows["qty"][of_auctions] = rng.choice([2, 4, 6, 8, 10, 3], of_auctions.sum())
    everything = (rows["kind"] == CommandKind.MASS_CANCEL) & (rng.random(count) < 0.5)
    rows["instrument"][everything] = -1
    rows["side"][everything] = 0
    rows["flags"][np.isin(rows["kind"], [CommandKind.NEW])] = rng.choice([0, 1, 2], count, p=[0.95, 0.04, 0.01])[
        rows["kind"] == CommandKind.NEW
    ]
    switches = rows["kind"] == CommandKind.KILL_SWITCH
    rows["flags"][switches] = rng.choice([0, 1, 2], switches.sum(), p=[0.8, 0.15, 0.05])
    days = rng.integers(0, 4, count) + (first_seq + np.arange(count)) // 60
    rows["date"] = 20210100 + days % 28 + (days // 28) % 12 * 100 + days // 336 * 10_000
    rules = rows["kind"] == CommandKind.SET_RULE
    rows["rule"] = rng.choice(_SETTABLE, count)
    rows["amount_fen"][rules] = rng.choice([-2, -1, 0, 1, 2, 3000, 20_000], rules.sum())
    return rows


def run(name: str, seed: int, count: int, *, engines_check: bool = True) -> dict[str, int]:
    """Compare the engines over `count` commands; raises AssertionError at the first difference.

    Returns how often each event kind and reject reason occurred.
    """
    rng = np.random.default_rng([seed, sum(name.encode())])
    rules = compiled(name)
    fast, slow = Exchange(rules), ReferenceExchange(rules)
    tight = Exchange(rules, accounts=2, orders=2, ids=4, events=8)
    digests = EventDigest(), EventDigest()
    seen: dict[str, int] = {}
    done, ids_seen = 0, 1
    while done < count:
        size = int(min(rng.integers(1, 120), count - done))
        living = [row for row in fast.canonical_state() if len(row) == LIVING_COLUMNS]
        alive = np.array([(row[4], row[5], row[9], row[1], row[0], row[2]) for row in living], np.int64).reshape(-1, 6)
        rows = random_commands(rng, size, ids_seen, alive, real_market=name in ("cn-cea", "generic"))
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
        digests[0].update(events)
        cut = int(rng.integers(0, size + 1))
        for part in (rows[:cut], rows[cut:]):
            digests[1].update(tight.submit(part))
        done, ids_seen = done + size, ids_seen + size
        for kind in EventKind:
            seen[kind.name] = seen.get(kind.name, 0) + int((events["kind"] == kind).sum())
        for reason in RejectReason:
            seen[reason.name] = seen.get(reason.name, 0) + int((events["reason"] == reason).sum())
    tight.check()
    assert digests[0].hexdigest() == digests[1].hexdigest(), f"{name}, seed {seed}: another split, other bytes"
    assert state_digest(fast.canonical_state()) == state_digest(tight.canonical_state())
    return seen


def describe(events: np.ndarray, expected: np.ndarray, where: str) -> str:
    """The first event that differs, field by field."""
    for got, want in zip(events, expected, strict=False):
        if got != want:
            fields = [f"{n}: fast {got[n]} reference {want[n]}" for n in EVENT.names or () if got[n] != want[n]]
            return f"{where}: event {want['seq']} (kind {want['kind']}): {'; '.join(fields)}"
    return f"{where}: {len(events)} events, reference {len(expected)}"


def main() -> None:
    """The long campaign: `COMMANDS` per rulebook (default 300,000)."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for name in NAMES:
        for part in range(-(-count // 20_000)):
            run(name, first + part, min(20_000, count))
        print(f"{name}: {count} commands from seed {first} equal, conserved, any split")


if __name__ == "__main__":
    main()
