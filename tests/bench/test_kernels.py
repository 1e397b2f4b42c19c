"""The table of ways of trading: every scenario does what its name says, and one that does not gets no time."""

import re
from typing import Any

import pytest

from bench import kernels
from bench.kernels import SCENARIOS, Floor, Scenario, Script, Step
from engine.codes import CommandKind, EventKind, Phase, RejectReason
from engine.errors import EmexError
from engine.exchange import Exchange
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import find_rulebook

pytestmark = pytest.mark.slow  # only without the compiler, where a thousand accounts are opened in plain Python
SIZE, MESSAGES = 16, 96


def small(scenario: Scenario) -> Scenario:
    return scenario._replace(size=SIZE, messages=MESSAGES)


def timed(scenario: Scenario, runs: int = 1) -> dict[str, Any]:
    return kernels.measure_one(scenario, runs=runs, least_run_ns=0)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_does_what_its_name_says(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[None] = []
    check = Exchange.check
    monkeypatch.setattr(Exchange, "check", lambda exchange: checked.append(check(exchange)))
    row = timed(small(scenario), runs=2)
    assert len(checked) == 1, "the books are looked at once, by the rehearsal"
    refused = scenario.refused != RejectReason.NONE
    assert row["accepted_share"] == 0 if refused else row["accepted_share"] >= 0.95
    assert row["messages"] > 0
    assert row["events_per_message"] >= sum(least for _, least in scenario.sees)
    assert len(row["runs"]) == 2
    assert min(row["runs"]) > 0
    assert re.fullmatch("[0-9a-f]{16}", row["rulebook_hash"])


@pytest.mark.parametrize(
    "scenario",
    [scenario for scenario in SCENARIOS if not scenario.name.startswith("call")],  # which sets its phases itself
    ids=lambda scenario: scenario.name,
)
def test_a_scenario_on_a_closed_market_gets_no_time(scenario: Scenario) -> None:
    with pytest.raises(EmexError, match="MARKET_CLOSED"):
        timed(small(scenario)._replace(phase=Phase.CLOSED))


def test_refusals_are_not_timed_as_trading() -> None:
    refused = next(scenario for scenario in SCENARIOS if scenario.refused == RejectReason.INSUFFICIENT_CASH)
    with pytest.raises(EmexError, match=r"accepted share: got 0\.000 \(INSUFFICIENT_CASH most often\)"):
        timed(small(refused)._replace(refused=RejectReason.NONE))
    with pytest.raises(EmexError, match=r"share refused: got 0\.000 .* as PRICE_ABOVE_LIMIT"):
        timed(small(refused)._replace(refused=RejectReason.PRICE_ABOVE_LIMIT))


def test_orders_that_do_not_trade_are_not_timed_as_trading() -> None:
    listing = next(scenario for scenario in SCENARIOS if scenario.name == "listing")
    with pytest.raises(EmexError, match=r"TRADE a message: got 0\.000, expected at least 1\.0"):
        timed(small(listing)._replace(sees=((EventKind.TRADE, 1.0),)))


def test_a_script_that_counts_nothing_gets_no_time() -> None:
    def idle(floor: Floor) -> Script:
        yield Step(floor.rows(CommandKind.PHASE, 1, phase=Phase.OPEN))

    with pytest.raises(EmexError, match="messages: got none that counts"):
        timed(Scenario("idle", "generic", idle, "nothing"))


def test_a_scenario_is_the_same_every_time() -> None:
    median = small(next(scenario for scenario in SCENARIOS if scenario.name == "median price"))
    rules = compile_rulebook(find_rulebook(median.rulebook))
    first, second = (kernels._rehearse(median, rules)[2] for _ in range(2))
    assert len(first) > 10
    assert all((a.rows == b.rows).all() and a.counts == b.counts for a, b in zip(first, second, strict=True))


def test_every_pass_begins_where_the_rehearsal_began(monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    described = Exchange._describe
    mix = small(SCENARIOS[0])

    def seen(exchange: Exchange) -> None:
        described(exchange)
        states.append(list(exchange.canonical_state()))

    exchange, tables, steps, _ = kernels._rehearse(mix, compile_rulebook(find_rulebook(mix.rulebook)))
    monkeypatch.setattr(Exchange, "_describe", seen)
    for _ in range(3):
        kernels._time_of_pass(exchange, tables, kernels._stretches(steps))
        exchange.check()
    assert len(states[0]) > SIZE
    assert states[0] == states[1] == states[2]


def test_every_row_is_compared_with_continuous_crossing(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(kernels, "SCENARIOS", tuple(map(small, SCENARIOS)))
    monkeypatch.setattr(kernels, "_LEAST_RUN_NS", 0)
    rows = kernels.measure(lambda *done: told.append(done), runs=1, only=["offer"])
    assert [row["name"] for row in rows] == ["continuous", "offer"]
    assert rows[0]["ratio_to_continuous"] == 1
    assert rows[1]["ratio_to_continuous"] == pytest.approx(
        rows[1]["ns_per_message"] / rows[0]["ns_per_message"], abs=0.01
    )
    assert told == [(0, 2), (1, 2)]
    with pytest.raises(EmexError, match="got barter, expected some of continuous"):
        kernels.measure(lambda *_: None, only=["barter"])
