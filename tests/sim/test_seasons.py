"""Season files and what their rules do: reading, conservation, who gets what, and prices and volumes that follow."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine.codes import EventKind, TradingMode
from engine.errors import ScenarioError
from sim import season as seasons
from sim.abatement.menu import draw_menu
from sim.facts import DateKind
from sim.parameters import load_parameters
from sim.population import draw_population
from sim.reductions import Reductions
from sim.registry import borrowed_t
from sim.season import SCENARIOS, SeasonPlan, load_season
from sim.world import World
from tests.sim.small import SEASONS, days_of, run, shared, slow_without_compiler, small, tape, trades_of

SEEDS = (501, 502, 503)

# --------------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("name", SEASONS)
def test_every_season_reads_and_is_whole(name: str) -> None:
    plan = load_season(name)
    assert plan.title
    assert plan.title_zh
    assert plan.firms > 0
    assert (np.diff(plan.days.astype(int)) > 0).all()
    assert plan.days[0] >= plan.first_day
    assert plan.instrument(plan.product.symbol) >= 0
    assert all(fact["source"] for fact in plan.facts)
    assert all(date.known_from <= date.date and date.source for date in plan.dates)
    if plan.deadline:
        assert plan.first_day < plan.deadline.day <= plan.last_day
        assert plan.emissions_until < plan.deadline.day
    load_parameters(plan.parameters)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("last_day = 2017-07-14", "last_day = 2016-06-30", ["last_day", "'2016-06-30'", "a day after 2016-07-01"]),
        ('symbol = "SZA2016"', 'symbol = "SZA1999"', ["symbol", "'SZA1999'", "an instrument of shenzhen"]),
        ('kind = "true_up"', 'kind = "true_down"', ["Invalid enum value 'true_down'", "dates"]),
        ("known_from = 2016-07-01\ntitle", "known_fro = 2016-07-01\ntitle", ["known_fro", "dates"]),
        ("share_of_firms = 0.98", "share_of_firms = 0.9", ["share_of_firms", "add up to 1"]),
        ('price_base = "january_to_june"\n', "", ["penalty.price_base", "None", "a base where there is a multiple"]),
        ('kind = "fitted", range = ', 'kind = "assumed", range = ', ["parameters.", ".range", "fitted parameters"]),
        ('kind = "assumed", source', 'kind = "fitted", source', ["parameters.", ".range: got None, expected a range"]),
    ],
)  # fmt: skip
def test_a_wrong_season_is_refused_with_file_key_value_and_expectation(
    old: str, new: str, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (SCENARIOS / "sza-2017.toml").read_text("utf-8")
    assert old in text
    (tmp_path / "sza-2017.toml").write_text(text.replace(old, new, 1), "utf-8")
    monkeypatch.setattr(seasons, "SCENARIOS", tmp_path)
    with pytest.raises(ScenarioError) as refusal:
        load_season("sza-2017")
    for part in ["sza-2017.toml", *told]:
        assert part in str(refusal.value)


def test_an_unknown_season_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ScenarioError, match=r"no scenario named 'mars-2017'; there are: .*cea-2021.*tjea-2017"):
        load_season("mars-2017")


def test_a_seventh_fitted_parameter_is_one_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = '{} = {{ value = 0.5, kind = "fitted", range = [0.0, 1.0], source = "made up" }}\n'
    names = ("need_sigma", "prudence_z", "approval_sigma", "value_sigma", "hoard_share", "concession", "belief")
    text = (SCENARIOS / "sza-2017.toml").read_text("utf-8").split("[parameters]")[0]
    monkeypatch.setattr(seasons, "SCENARIOS", tmp_path)
    for count in (6, 7):
        rows = "".join(line.format(name) for name in names[:count])
        (tmp_path / "sza-2017.toml").write_text(f"{text}[parameters]\n{rows}", "utf-8")
        if count == 6:
            assert len(load_season("sza-2017").parameters) == 6
    with pytest.raises(ScenarioError, match=r"sza-2017.toml: parameters: .*belief.*expected at most 6 fitted"):
        load_season("sza-2017")


def test_a_season_without_dates_that_end_it_cannot_be_moved() -> None:
    with pytest.raises(ScenarioError, match="sichuan-2017: a season without deadline"):
        load_season("sichuan-2017").moved(45, everything=True)


def test_a_season_under_a_rulebook_that_lacks_its_product_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"bea-2017: rules: got 'cn-cea', expected a rulebook with BEA"):
        load_season("bea-2017").under("cn-cea")


# --------------------------------------------------------------------------------------------------------- conservation

KINDS = {
    "listed, blocks": ("cea-2021", 250, "2021-10-20", "2021-12-31"),
    "listed, sales, offsets": ("gdea-2017", 244, "2017-04-10", "2017-07-05"),
    "median price, collection": ("hbea-2017", 150, "2017-05-15", "2017-08-31"),
    "no screen, cut declarations": ("cqea-2016", 120, "2016-09-15", "2016-12-09"),
    "offsets alone": ("sichuan-2017", 100, "2017-04-05", "2017-06-02"),
    "offsets for a national duty": ("ccer-2021", 120, "2021-10-20", "2021-12-31"),
    "continuous, sale for surrender": ("shea-2017", 150, "2017-03-20", "2017-07-12"),
}


@slow_without_compiler
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_tonne_and_every_fen_is_somewhere_at_the_end(kind: str) -> None:
    world, season = shared(*KINDS[kind])
    events, accounts = tape(season), season.accounts
    assert season.conserved
    assert trades_of(season)["qty"].sum() > 0
    for number, symbol in enumerate(world.plan.book.symbols):
        mine, entry = events[events["instrument"] == number], accounts[symbol]
        issued, surrendered, cancelled = (
            int(mine["qty"][mine["kind"] == one].sum())
            for one in (EventKind.ISSUED, EventKind.SURRENDERED, EventKind.DEDUCTED)
        )
        found = (entry["issued_t"], entry["surrendered_t"], entry["cancelled_t"])
        assert found == (issued, surrendered, cancelled), symbol
        assert issued == entry["held_t"] + surrendered + cancelled + entry["unsold_t"], symbol
        assert min(entry.values()) >= 0
    paid_in, paid_out = (
        int(events["amount_fen"][events["kind"] == one].sum()) for one in (EventKind.DEPOSITED, EventKind.WITHDRAWN)
    )
    assert accounts["cash"] == {"brought_in_fen": paid_in - paid_out, "in_accounts_fen": paid_in - paid_out}


@slow_without_compiler
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_firm_table_says_is_what_the_tape_says(kind: str) -> None:
    world, season = shared(*KINDS[kind])
    firms = season.firms
    assert firms is not None
    assert (firms["duty_t"] == firms["surrendered_t"] + firms["shortfall_t"]).all()
    assert (firms["late_t"] >= firms["shortfall_t"]).all()
    fined = tape(season)[tape(season)["kind"] == EventKind.FINED]
    assert firms["fine_fen"].sum() == fined["amount_fen"].sum()
    if not world.plan.offsets_only:
        in_registry = sum(entry["surrendered_t"] for name, entry in season.accounts.items() if name != "cash")
        elsewhere = int(np.minimum(world.people.offsets_t, world.people.duty_t).sum())
        assert in_registry <= firms["surrendered_t"].sum() <= in_registry + elsewhere
    main = trades_of(season, world.plan.instrument(world.plan.product.symbol))
    on_exchange = main[main["mode"] != TradingMode.AUCTION]["qty"].sum()
    assert season.total_qty_t.sum() == on_exchange


# ----------------------------------------------------------------------------------------------------------- population


@pytest.mark.parametrize("name", SEASONS)
def test_firms_add_up_to_the_season_and_outsiders_owe_nothing(name: str) -> None:
    plan = load_season(name)
    people = draw_population(plan, load_parameters(plan.parameters), 3)
    firms, others = slice(0, people.firms), slice(people.firms, None)
    assert people.firms == plan.firms
    assert abs(int(people.emissions_t.sum()) - plan.emissions_t) <= plan.firms
    for array in (people.emissions_t, people.free_t, people.duty_t, people.carried_t, people.preallocated_t):
        assert array.dtype == np.int64
        assert array.min() >= 0
        assert array[others].sum() == 0
    share = plan.allocation.duty_cap_share
    if share is not None:
        most = people.free_t + share.value * people.emissions_t
        assert (people.duty_t[firms] <= most[firms] + 1).all()
    assert (people.duty_t <= people.emissions_t).all()
    carried = plan.banking.carried_in_share * plan.emissions_t
    assert abs(int(people.carried_t.sum()) - carried) <= 2 * plan.firms
    units = plan.offsets.units if plan.offsets else []
    assert people.stock_t.sum(axis=0).tolist() == [unit.issued_t.value for unit in units]
    assert people.stock_t[firms].sum() == 0


def test_firms_borrow_in_one_season_alone_and_only_where_the_gap_is_large() -> None:
    for name in SEASONS:
        plan = small(name, firms=200)
        people = draw_population(plan, load_parameters(plan.parameters), 3)
        borrowed = borrowed_t(plan, people)
        if name != "cea-2023":
            assert borrowed.sum() == 0, name
            continue
        gap = np.maximum(0, people.duty_t - people.free_t - people.carried_t)
        assert borrowed.sum() > 0
        assert (borrowed[gap < 0.1 * people.duty_t] == 0).all()
        large = (gap > 0) & (gap >= 0.1 * people.duty_t)
        assert (borrowed[large] == gap[large] // 2).all()


@slow_without_compiler
@pytest.mark.slow
def test_what_was_borrowed_comes_off_the_next_allocation() -> None:
    world, season = run(small("cea-2023", 150, "2023-11-20"))
    borrowed, firms = borrowed_t(world.plan, world.people)[: world.people.firms], season.firms
    assert firms is not None
    assert borrowed.sum() > 0
    expected = borrowed + world.plan.penalty.deduction_multiple.value * firms["shortfall_t"]
    assert (firms["next_deduction_t"] == expected).all()


@pytest.mark.parametrize("name", SEASONS)
def test_reductions_count_within_the_years_whose_emissions_are_due(name: str) -> None:
    plan = small(name, firms=60)
    p = load_parameters(plan.parameters, abatement_attention=1.0)
    people = draw_population(plan, p, 1)
    reductions = Reductions(plan, people, p, 1)
    after = plan.emissions_until + 1
    reductions.decide(max(after, plan.first_day), 1, 10**7)
    assert reductions.abated_t().sum() == 0, "whatever the price, after the last emission year"
    if plan.first_day <= plan.emissions_until:
        reductions.decide(plan.first_day, 0, 10**7)
        abated = reductions.abated_t()
        assert (abated <= people.emissions_t).all()
        total = draw_menu(people.emissions_t[: people.firms], 1).potential_t.sum()
        days = int((plan.emissions_until - plan.first_day).astype(int)) + 1
        assert 0 <= abated.sum() <= total * days / 365 + len(abated)


def test_moving_the_deadline_adds_no_emission_year() -> None:
    plan = load_season("cea-2021")
    assert plan.moved(45, everything=True).emissions_until == plan.emissions_until == np.datetime64("2020-12-31")
    assert load_season("cqea-2017").emissions_until == np.datetime64("2016-12-31")


# ---------------------------------------------------------------------------------------------- prices follow the rules


@slow_without_compiler
@pytest.mark.slow
def test_chongqings_published_glut_takes_the_price_to_the_region_of_1_cny() -> None:
    """A unit is worth the last price before the season, as shipped, so that no fitted level takes the glut's part."""
    plan = small("cqea-2017", 150, "2016-07-01", "2017-03-31")
    no_stock = msgspec.structs.replace(plan.banking, carried_in_share=0.0)
    tight = replace(plan.without(DateKind.SUPPLY_KNOWN), banking=no_stock)
    reference = plan.product.reference_price_cny
    assert reference is not None
    assert load_parameters(plan.parameters).value_level == reference.value
    lows = [[int(run(one, seed)[1].days["close_fen"].min()) for seed in SEEDS] for one in (plan, tight)]
    glut, without = np.mean(lows, axis=1)
    print(f"cqea-2017 at {reference.value} CNY: lowest closes in fen with the glut and without", lows)
    assert glut < 150
    assert glut < 0.3 * without


@slow_without_compiler
@pytest.mark.slow
def test_what_verification_takes_back_is_known_when_it_has_taken_it() -> None:
    """Chongqing's firms see what was issued on declarations; the cut in September 2016 makes a unit worth more."""
    plan = small("cqea-2016", 150, "2016-01-04", "2016-12-30")
    world = World(plan, load_parameters(plan.parameters), SEEDS[0])
    people, levels = world.people, {}
    issued, kept = (int((part + people.carried_t).sum()) for part in (people.preallocated_t, people.free_t))
    assert issued > kept

    def see(index: int, _of: int) -> None:
        levels[plan.days[index - 1]] = world._scarcity(plan.days[index - 1])

    world.run(see)
    cut = plan.last(DateKind.TRUE_UP)
    assert cut is not None
    duty, discount = int(people.duty_t.sum()), world.p.glut_discount
    before = [value for day, value in levels.items() if day < cut.day]
    assert before == pytest.approx([np.exp(-discount * (issued / duty - 1))] * len(before))
    assert levels[plan.days[-1]] == pytest.approx(np.exp(-discount * (kept / duty - 1)))


@slow_without_compiler
@pytest.mark.slow
def test_doubt_about_carrying_over_takes_shanghais_price_down_until_it_ends() -> None:
    plan = small("shea-2016", 150, "2016-01-04", "2016-06-30")
    known = plan.banking.known_from
    assert known is not None
    sure = replace(plan, banking=msgspec.structs.replace(plan.banking, known_from=None))
    days, without = run(plan)[1].days, int(run(sure)[1].days["close_fen"].min())
    start, lowest, last = int(days["close_fen"][0]), int(days["close_fen"].min()), int(days["close_fen"][-1])
    when = days["date"][days["close_fen"].argmin()]
    print(f"shea-2016: {start} fen, lowest {lowest} on {when}, last {last}; without the doubt lowest {without}")
    assert lowest < 0.5 * start
    assert lowest < 0.8 * without
    assert last > 1.2 * lowest
    assert when < np.datetime64(known) + 21, "turns when it is known that units survive"


# ----------------------------------------------------------------------------------------------- Shanghai's closed days


@slow_without_compiler
@pytest.mark.slow
def test_shanghais_allowance_trades_from_18_november_and_not_on_the_deadline() -> None:
    world, season = run(small("shea-2017", 60, "2016-10-31", "2016-12-09"))
    product = world.plan.instrument("SHEA")
    assert days_of(trades_of(season, product)).min() >= np.datetime64("2016-11-18")
    assert trades_of(season, product)["qty"].sum() > 0
    world, season = shared(*KINDS["continuous, sale for surrender"])
    traded = set(days_of(trades_of(season, world.plan.instrument("SHEA"))).astype(str))
    assert {"2017-06-29"} <= traded
    assert "2017-06-30" not in traded
    assert "2017-06-30" in set(season.days["date"].astype(str))


# -------------------------------------------------------------------------------------------- Hubei's second deadline

ANNOUNCED = np.datetime64("2017-07-04")
SHIFT = 21


def _hubei(way: str) -> SeasonPlan:
    plan = small("hbea-2017", 150, "2017-05-15")
    if way == "never":
        return replace(plan, dates=tuple(date for date in plan.dates if date.known_day != ANNOUNCED))
    if way == "later":
        dates = tuple(date.moved(0, SHIFT) if date.known_day == ANNOUNCED else date for date in plan.dates)
        return replace(plan, dates=dates, last_day=plan.last_day + SHIFT)
    return plan


def _remaining(way: str, seed: int) -> tuple[float, int]:
    """(centre of the volume from the announcement on, days after it; tonnes)."""
    season = run(_hubei(way), seed)[1]
    later = season.days["date"] >= ANNOUNCED
    qty, days = season.total_qty_t[later], (season.days["date"][later] - ANNOUNCED).astype(int)
    return float((qty * days).sum() / qty.sum()), int(qty.sum())


@slow_without_compiler
@pytest.mark.slow
def test_hubeis_remaining_volume_follows_the_date_that_was_announced() -> None:
    found = [(_remaining("base", seed), _remaining("later", seed), _remaining("never", seed)) for seed in SEEDS]
    shifts = [(later[0] - base[0]) / SHIFT for base, later, _ in found]
    print("hbea-2017, three weeks later: centre moves by", [f"{shift:.2f}" for shift in shifts], "of it")
    print("tonnes from 4 July on, announced and never:", [(base[1], never[1]) for base, _, never in found])
    assert 0.6 <= np.mean(shifts) <= 1.0
    assert sum(never[1] for *_, never in found) < 0.5 * sum(base[1] for base, *_ in found)
