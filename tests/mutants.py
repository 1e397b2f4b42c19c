"""Planted bugs: each is one plausible slip in the compiled core, and the spec tables must notice every one.

    make mutants

Each bug is planted in a copy of the sources and the tables run there with the compiler off; the untouched copy must
pass. A bug that survives, or a passage that is no longer there to be spoilt, ends in exit status 1.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("engine", "gateway", "sim", "tests", "emex.py", "pyproject.toml")


@dataclass(frozen=True)
class Mutant:
    """One slip: the passage of a file and what stands there instead."""

    name: str
    file: str
    right: str
    wrong: str


MUTANTS = (
    Mutant("the upper price limit excludes the limit itself", "engine/core/admit.py",
           "if price_fen > high_fen:", "if price_fen >= high_fen:"),
    Mutant("a gate stays as it was when rules and phases change", "engine/core/gate.py",
           "if market_of(state)[Market.GATES_DRAWN] == 1:", "if instruments_of(state)[0, Instrument.GATE_QTY] > 0:"),
    Mutant("a blocked account passes the gate", "engine/core/gate.py",
           "admitted == 1 and account[Account.BLOCKED] == 0 and", "admitted == 1 and"),
    Mutant("a gate asks for no cash", "engine/core/gate.py",
           "accounts_of(state)[ask.account, Account.CASH] >= cash", "cash >= 0"),
    Mutant("somebody else's order is cancelled past the ladder", "engine/core/gate.py",
           'if order["account"] != ask.account or order["role"]', 'if order["role"]'),
    Mutant("a cancel passes the gate in a phase without cancels", "engine/core/gate.py",
           "(rules[Rule.PERMITS + phase] >> CommandKind.CANCEL) & (phase != Phase.CALL)",
           "phase != Phase.CALL"),
    Mutant("events that do not fit the buffer are written over earlier ones", "engine/exchange.py",
           "events = self._events[used:]", "events = self._events"),
    Mutant("the youngest order of a price trades first", "engine/core/book.py",
           "return heads_of(state)[level_of(state, instrument, side, price_fen)] + 0",
           "return tails_of(state)[level_of(state, instrument, side, price_fen)] + 0"),
    Mutant("bought units can be sold at once", "engine/core/accounts.py",
           "Rule.UNITS_T_PLUS] > 0", "Rule.UNITS_T_PLUS] > 1"),
    Mutant("a larger replacement needs no further units, locked or not", "engine/core/admit_screen.py",
           'qty = wanted - orders[slot]["leaves_qty"]', 'qty = min(wanted - orders[slot]["leaves_qty"], 0)'),
    Mutant("fees are rounded down", "engine/core/accounts.py",
           "bp + BASIS, 2 * BASIS)", "bp, 2 * BASIS)"),
    Mutant("the median is taken of bid and ask only", "engine/core/prices.py",
           "return min(max(low, last_price(state, instrument)), high)", "return (low + high) // 2"),
    Mutant("limits and closes are rounded down", "engine/core/prices.py",
           "(2 * numerator + step) // (2 * step)", "numerator // step"),
    Mutant("the close leaves out the oldest of the trades it counts", "engine/core/prices.py",
           "range(day[Instrument.TRADES] - counted,", "range(day[Instrument.TRADES] - counted + 1,"),
    Mutant("exactly the smallest quantity moves the close", "engine/core/prices.py",
           "day[Instrument.COUNTED_QTY] <= rules", "day[Instrument.COUNTED_QTY] < rules"),
    Mutant("trades of the opening minutes count towards the smallest quantity", "engine/core/prices.py",
           "if (rules[Rule.CLOSE_MIN_QTY_PHASES] >> market_of(state)[Market.PHASE]) & 1:", "if qty > 0:"),
    Mutant("offers move the close", "engine/core/prices.py",
           "if not (rules[Rule.CLOSE_MODES] >> mode) & 1:", "if qty == 0:"),
    Mutant("a larger replacement keeps its place", "engine/core/continuous.py",
           "keeps_place = price == old_price and leaves <= old_leaves", "keeps_place = price == old_price"),
    Mutant("one price level too many can be clicked", "engine/core/book.py",
           "for _ in range(levels):", "for _ in range(levels + 1):"),
    Mutant("a block of exactly the smallest size is refused", "engine/core/admit_ledger.py",
           "if qty < rules_of(state)[instrument, Rule.BLOCK_MIN_QTY_T]",
           "if qty <= rules_of(state)[instrument, Rule.BLOCK_MIN_QTY_T]"),
    Mutant("a proposal can be confirmed at the moment it ends", "engine/core/admit_ledger.py",
           'ask.time_ns >= order["until_ns"]', 'ask.time_ns > order["until_ns"]'),
    Mutant("a deal outside the limits of its day's close is delivered", "engine/core/negotiated.py",
           "proven = band_low(state, instrument, band) <= price <= band_high(state, instrument, band)",
           "proven = price <= band_high(state, instrument, band)"),
    Mutant("the seller's fee is paid by nobody", "engine/core/accounts.py",
           "Account.CASH] += value - sell_fee", "Account.CASH] += value"),
    Mutant("what was frozen for a cancelled order stays frozen", "engine/core/living.py",
           'hold_entry(state, slot, -orders_of(state)[slot]["leaves_qty"])', "hold_entry(state, slot, 0)"),
    Mutant("a listing at the other side's best price is accepted", "engine/core/admit_screen.py",
           "return best != 0 and crosses(side, price_fen, best)",
           "return best != 0 and price_fen != best and crosses(side, price_fen, best)"),
    Mutant("the maximum holding excludes the maximum itself", "engine/core/accounts.py",
           "RejectReason.POSITION_LIMIT if qty > limit", "RejectReason.POSITION_LIMIT if qty >= limit"),
    Mutant("what was allocated counts towards the maximum holding", "engine/core/accounts.py",
           "participant == Participant.COVERED and rules[Rule.HOLDING_BEYOND_ALLOCATION] == 1", "participant < 0"),
    Mutant("half of the allocation may be sold twice", "engine/core/accounts.py",
           "(row[Units.SOLD] + row[Units.HELD] + qty) * BASIS", "(row[Units.HELD] + qty) * BASIS"),
    Mutant("a call auction takes the lowest of equally good prices", "engine/core/call.py",
           "return min(max(_reference(state, instrument), low), high)", "return low"),
    Mutant("market pressure is forgotten", "engine/core/call.py",
           "    if all_buy:\n        return high\n", ""),
    Mutant("a call auction does not mind the surplus", "engine/core/call.py",
           "(min(demand, supply) == volume and abs(surplus) < least)", "volume < 0"),
    Mutant("all winners of a uniform auction pay the best price", "engine/core/auction.py",
           "        if left < left_before:\n", "        if left < left_before and worst == NONE:\n"),
    Mutant("of equal bids the younger is served first", "engine/core/auction.py",
           'not is_better(side, ask.price_fen, orders[behind]["price_fen"])',
           'is_better(side, orders[behind]["price_fen"], ask.price_fen)'),
    Mutant("what division leaves over is not sold", "engine/core/auction.py",
           'more = min(left, orders[slot]["leaves_qty"] - share)',
           'more = min(left, orders[slot]["leaves_qty"] - share) * (1 - pro_rata)'),
    Mutant("all or nothing sells what it can", "engine/core/auction.py",
           "if rules[Rule.AUCTION_ALL_OR_NOTHING] == 1 and total < offered:", "if total == 0:"),
    Mutant("a deposit is rounded down", "engine/core/auction.py",
           "(value % BASIS * bp + BASIS - 1) // BASIS", "value % BASIS * bp // BASIS"),
    Mutant("a bid in the timed stage may equal the best", "engine/core/admit_other.py",
           'best != NIL and not is_better(side, price, orders[best]["price_fen"])',
           'best != NIL and is_better(side, orders[best]["price_fen"], price)'),
    Mutant("an order stays over a day although its limits have moved past it", "engine/core/day.py",
           "    _expire_outside(state, events, ask)\n    return True", "    return True"),
    Mutant("a halt begins only beyond the move that the rule names", "engine/core/continuous.py",
           "abs(last - reference) * BASIS < rules", "abs(last - reference) * BASIS <= rules"),
)  # fmt: skip


def survives(mutant: Mutant | None) -> bool:
    """Whether the spec tables pass with the bug planted (None: with none). Raises when the bug has no place."""
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            source, target = ROOT / name, Path(folder) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        if mutant:
            path = Path(folder) / mutant.file
            text = path.read_text(encoding="utf-8")
            if text.count(mutant.right) != 1:
                message = (
                    f"{mutant.file}: {mutant.right!r} stands there {text.count(mutant.right)} times, expected once"
                )
                raise LookupError(message)
            path.write_text(text.replace(mutant.right, mutant.wrong), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "tests/spec"]
        environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "EMEX_LANE": "python"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise RuntimeError(done.stdout + done.stderr)
        return done.returncode == 0


def main() -> int:
    """Plant every bug in turn; exit status 1 unless each is caught and the untouched sources pass."""
    if not survives(None):
        print("the untouched sources fail")
        return 1
    with ThreadPoolExecutor(max_workers=2) as pool:
        outcomes = list(zip(MUTANTS, pool.map(survives, MUTANTS), strict=True))
    for mutant, survived in outcomes:
        print(f"{'SURVIVED' if survived else 'caught  '} {mutant.name}")
    caught = sum(not survived for _, survived in outcomes)
    print(f"{caught} of {len(MUTANTS)} planted bugs caught")
    return 0 if caught == len(MUTANTS) else 1


if __name__ == "__main__":
    sys.exit(main())
