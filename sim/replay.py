"""`emex replay`: one season from its scenario to a summary and four files people can use.

    report.html      self-contained page        events.parquet   the whole tape, one row an event
    run.json         the summary below          prices.parquet   one row a trading day
    journal          with its witness, of a season that traded through a gateway: for `emex verify` and `emex export`

Everything in the summary is computed from the finished season; the record is read by the checks alone.
"""

import json
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from engine.codes import NONE, EventKind, Rule, TradingMode
from engine.errors import ScenarioError
from sim import checks, figures, null
from sim.allocation.table import long_and_short
from sim.parameters import Parameters, describe, load_parameters
from sim.population import draw_population
from sim.report import write_report
from sim.result import Season
from sim.season import SeasonPlan, load_season
from sim.world import World

FEN = 100
LAST_TENTH = 10

Through = Callable[
    [SeasonPlan, Parameters, int, Path | None, Callable[[int, int], None] | None], tuple[Season, float, dict[str, Any]]
]
"""(plan, parameters, seed, out, progress) -> the season, the seconds it took, and what its journal holds."""


def replay(
    scenario: str,
    seed: int = 1,
    out: Path | None = None,
    engine: str = "fast",
    progress: Callable[[int, int], None] | None = None,
    through: Through | None = None,
) -> dict[str, Any]:
    """Run one season and write its files into `out` (None: no files).

    Parameters
    ----------
    through : where it trades instead of an engine in this process: `sim.through.through_gateway`

    Returns the summary of `emex replay --json`: volumes in t, prices in CNY/t, penalties in CNY, shares of 1.
    `conserved` says whether every tonne and every fen is accounted for, `journal` (None in process) what the gateway's
    journal holds and whether it replays to the same events. Raises `EmexError` for an unknown scenario or engine.
    """
    plan = load_season(scenario)
    if not 0 <= seed < 2**63:
        message = f"seed: got {seed}, expected a whole number from 0"
        raise ScenarioError(message)
    p, journal = load_parameters(plan.parameters), None
    if through is None:
        season, seconds = timed(World(plan, p, seed, engine), progress)
    else:
        season, seconds, journal = through(plan, p, seed, out, progress)
    records = checks.load_records(plan.name)
    rows = checks.run_checks(season, records, null.null_pass_rates(plan, records))
    via = "process" if through is None else "gateway"
    allocation = [] if plan.offsets_only else long_and_short(draw_population(plan, p, seed).allocation)
    more = {"allocation": allocation, "via": via, "journal": journal}
    summary = _summary(plan, seed, season, rows, seconds) | more
    if out is not None:
        write_files(out, plan, season, summary)
    return summary


def timed(world: World, progress: Callable[[int, int], None] | None) -> tuple[Season, float]:
    """The season, and the seconds it took."""
    begun = time.perf_counter()
    season = world.run(progress)
    return season, time.perf_counter() - begun


def _volumes(plan: SeasonPlan, season: Season) -> dict[str, Any]:
    """Tonnes in all, by month and by window before the deadline."""
    days, total = season.days, season.total_qty_t
    whole = max(int(total.sum()), 1)
    months = days["date"].astype("datetime64[M]")
    end = plan.deadline.day if plan.deadline else plan.last_day
    span = int((end - plan.first_day).astype(int)) + 1

    def share(last_days: int) -> float:
        """Of the season's tonnes, in the calendar days that end with the deadline (without one, with the season)."""
        return float(total[(days["date"] > end - last_days) & (days["date"] <= end)].sum() / whole)

    return {
        "volume_t": {
            "total": int(total.sum()),
            "listed": int(days["listed_qty_t"].sum()),
            "block": int(days["block_qty_t"].sum()),
            "auction": int(days["auction_qty_t"].sum()),
            "offsets": sum(int((t["listed_qty_t"] + t["block_qty_t"]).sum()) for t in season.products.values()),
        },
        "share_window": share(span // LAST_TENTH + 1),
        "share_last_30d": share(30),
        "share_last_60d": share(60),
        "monthly_volume_t": {str(month): int(total[months == month].sum()) for month in np.unique(months)},
    }


def _prices(season: Season) -> dict[str, float]:
    """CNY/t: closes, and the mean over all trades."""
    closes = season.days["close_fen"] / FEN
    value = season.total_value_fen.sum()
    return {
        "first": float(closes[0]),
        "min": float(closes.min()),
        "max": float(closes.max()),
        "last": float(closes[-1]),
        "vwap": round(float(value / max(season.total_qty_t.sum(), 1) / FEN), 4),
    }


def _compliance(season: Season) -> dict[str, Any]:
    """Who has surrendered what was due; `penalty_cny` are fines alone. Rates are None where nothing is due."""
    firms = season.firms
    assert firms is not None, "a simulated season has firms"
    due = int(firms["duty_t"].sum())
    return {
        "firms": len(firms),
        "rate_firms": float((firms["shortfall_t"] == 0).mean()) if due else None,
        "rate_volume": float(firms["surrendered_t"].sum() / due) if due else None,
        "late_firms": int((firms["late_t"] > 0).sum()),
        "late_t": int(firms["late_t"].sum()),
        "made_up_t": int(firms["made_up_t"].sum()),
        "shortfall_t": int(firms["shortfall_t"].sum()),
        "penalty_price_cny": None if season.penalty_price_fen is None else season.penalty_price_fen / FEN,
        "deducted_t": int(firms["deducted_t"].sum()),
        "next_deduction_t": int(firms["next_deduction_t"].sum()),
        "penalty_cny": int(firms["fine_fen"].sum()) // FEN,
        "offsets_used_t": int(firms["offsets_used_t"].sum()),
    }


SCREENS = {
    TradingMode.LISTED: ("Listed", "挂牌"),
    TradingMode.CONTINUOUS: ("Screen", "挂牌交易"),
    TradingMode.NO_SCREEN: ("Fixed-price offers", "定价交易"),
}
"""What the public's trade is called, by the screen of the market."""
SCREENS_OF = {
    "cn-cea": ("Listed", "挂牌协议"), "cn-ccer": ("Listed", "挂牌协议"), "guangdong": ("Listed", "挂牌点选"),
    "shenzhen": ("Listed", "定价点选"), "hubei": ("Screen", "协商议价"), "tianjin": ("Screen", "网络现货"),
}  # fmt: skip
"""And where the market has a word of its own."""
BLOCKS_OF = {"cn-cea": ("Block", "大宗协议"), "shenzhen": ("Block", "大宗交易")}


def _modes(plan: SeasonPlan) -> dict[str, tuple[str, str]]:
    """What this market calls its ways of trading, English and Chinese, without those that it lacks."""

    def has(rule: Rule) -> bool:
        changes = plan.book.rules.get((None, rule))
        return changes is not None and changes[-1].compiled != NONE

    screen = TradingMode(plan.book.rules[None, Rule.MODE][-1].compiled)
    found = {"listed": SCREENS_OF.get(plan.market, SCREENS[screen])}
    if has(Rule.BLOCK_MIN_QTY_T):
        found["block"] = BLOCKS_OF.get(plan.market, ("Agreement", "协议转让"))
    if plan.sales:
        found["auction"] = ("Sale by the government", "有偿发放")
    return found


def _summary(plan: SeasonPlan, seed: int, season: Season, rows: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    events = season.events
    assert events is not None, "a simulated season has a tape"
    orders = int((events["kind"] == EventKind.ACCEPTED).sum())
    return {
        "scenario": plan.name,
        "title": plan.title,
        "title_zh": plan.title_zh,
        "rules_hash": plan.book.rules_hash,
        "seed": seed,
        "version": version("emex"),
        "days": len(plan.days),
        "firms": plan.firms,
        "orders": orders,
        "trades": int((events["kind"] == EventKind.TRADE).sum()),
        **_volumes(plan, season),
        "deadline": str(plan.deadline.day) if plan.deadline else None,
        "milestone": str(plan.milestone.day) if plan.milestone else None,
        "price": _prices(season),
        "compliance": _compliance(season),
        "efficiency": season.achieved,
        "symbol": plan.product.symbol,
        "modes": _modes(plan),
        "projection": plan.projection,
        "parameters_from": plan.parameters_from,
        "checks": rows,
        "conservation": season.accounts,
        "conserved": season.conserved,
        "digest": season.digest,
        "seconds": round(seconds, 3),
        "orders_per_second": round(orders / seconds),
    }


def write_files(out: Path, plan: SeasonPlan, season: Season, summary: dict[str, Any]) -> None:
    """report.html, events.parquet, prices.parquet and run.json into `out`, which is created."""
    out.mkdir(parents=True, exist_ok=True)
    assert season.events is not None, "a simulated season has a tape"
    for name, rows in (("events", season.events), ("prices", season.days)):
        columns = {column: np.ascontiguousarray(rows[column]) for column in rows.dtype.names or ()}
        pq.write_table(pa.table(columns), out / f"{name}.parquet", compression="zstd")
    (out / "run.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    write_report(out / "report.html", season, summary, plan.announcements(), model_constants(plan))


def model_constants(plan: SeasonPlan) -> list[dict[str, Any]]:
    """Every number the season was made of: the scenario's facts, the rulebook's values, the model's parameters."""
    facts = [{"kind": "public fact", "tuned": False, **row} for row in plan.facts]
    rules = [
        {"name": value.key, "value": str(value.value), "unit": "", "kind": "rule", "source": value.source,
         "tuned": False, "meaning": "" if value.verified else "unverified"}
        for value in plan.book.values
    ]  # fmt: skip
    return [*describe(plan.parameters), *facts, *rules]


def print_summary(summary: dict[str, Any], console: Console) -> None:
    """What happened, then the realism checks."""
    volume, price, compliance = summary["volume_t"], summary["price"], summary["compliance"]
    last_month, tonnes = list(summary["monthly_volume_t"].items())[-1]
    console.print(f"[bold]{summary['title']}[/bold]  seed {summary['seed']}")
    console.print(
        f"{summary['firms']:,} firms, {summary['days']} trading days, {summary['orders']:,} orders, "
        f"{summary['trades']:,} trades in {summary['seconds']:.1f} s"
    )
    console.print(
        f"{figures.tonnes(volume['total'])} traded, {figures.percent(tonnes / max(volume['total'], 1))} of it in "
        f"{last_month}; {figures.percent(volume['block'] / max(volume['total'], 1))} by block agreement 大宗协议; "
        f"offsets {figures.tonnes(volume['offsets'])}, sales by the government {figures.tonnes(volume['auction'])}"
    )
    console.print(
        f"close 收盘价 {price['first']:.2f}, low {price['min']:.2f}, end {price['last']:.2f} CNY/t; "
        f"mean {price['vwap']:.2f}"
    )
    if compliance["rate_firms"] is None:
        console.print("nothing was due here in this season")
    else:
        console.print(
            f"{compliance['rate_firms']:.1%} of firms complied 履约, {compliance['rate_volume']:.2%} by volume; "
            f"late 逾期 {compliance['late_firms']:,} firms; {figures.tonnes(compliance['shortfall_t'])} short, "
            f"fines {compliance['penalty_cny'] / 1e6:,.1f} M CNY"
        )
    _print_achieved(summary["efficiency"], console)
    if summary["journal"]:
        journal = summary["journal"]
        verdict = "replays to the same events" if journal["held"] else "[red]does not hold[/red]"
        console.print(
            f"traded through a gateway: {journal['records']:,} commands in {journal['payloads']:,} payloads and "
            f"{journal['commits']:,} commits; the journal {verdict}"
        )
    console.print(_check_table(summary["checks"]))
    held = [row for row in summary["checks"] if row["passed"]]
    evidence = sum(row["kind"] == "evidence" for row in held)
    console.print(f"{len(held)} of {len(summary['checks'])} checks hold, {evidence} of those are evidence")
    console.print(f"digest {summary['digest']}")


def _print_achieved(achieved: dict[str, Any], console: Console) -> None:
    """By what a carbon market should be judged."""
    share = achieved["efficiency"]
    worth = "nothing to gain by trade" if share is None else f"{share:.0%} of the gains from trade"
    console.print(
        f"{figures.tonnes(achieved['abated_t'])} abated 减排 for {achieved['social_cost_cny'] / 1e6:,.1f} M CNY; "
        f"{worth}"
    )


def _check_table(rows: list[dict[str, Any]]) -> Table:
    """The realism checks by kind; `null` is how often the model without firms passes."""
    table = Table(title="Realism checks", title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    for name in ("check", "value", "accepted", "record", "null", ""):
        table.add_column(name, justify="left" if name in ("check", "") else "right", no_wrap=True)
    for kind in get_args(checks.Kind):
        table.add_row(f"[bold]{kind}[/bold]")
        for row in rows:
            if row["kind"] == kind:
                null_rate = "–" if row["null_pass_rate"] is None else f"{row['null_pass_rate']:.0%}"
                verdict = {True: "[green]held[/green]", False: "[red]FAILED[/red]", None: "undefined"}[row["passed"]]
                value, recorded = (figures.in_unit(row[key], row["unit"]) for key in ("value", "recorded"))
                accepted = figures.accepted(row["low"], row["high"], row["unit"])
                table.add_row(row["name"], value, accepted, recorded, null_rate, verdict)
    return table
