"""What chance leaves of a right model: the model's own seasons in the record's place, ranges by the record's rule."""

import pytest

from sim.ceiling import passes_as_record, range_around
from sim.checks.records import Check, load_records

GUANGDONG = load_records("gdea-2017").checks


def recorded(check: Check) -> tuple[float, float, float]:
    """(recorded, low, high) of a check with all three."""
    found = check.recorded, check.low, check.high
    assert all(isinstance(value, int | float) for value in found)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(
    "name", ["total_volume", "vwap", "return_sd", "top_5_days_share", "limit_days", "offsets_used"]
)
def test_a_season_that_is_the_record_has_the_records_range(name: str) -> None:
    value, low, high = recorded(GUANGDONG[name])
    assert range_around(GUANGDONG[name], value, value, low, high) == pytest.approx((low, high), abs=0.02)


def test_shares_keep_their_width_within_0_and_1_and_prices_their_proportion() -> None:
    share, price = GUANGDONG["top_5_days_share"], GUANGDONG["vwap"]
    assert range_around(share, 0.6, *recorded(share)) == pytest.approx((0.5, 0.7))
    assert range_around(share, 0.95, *recorded(share)) == pytest.approx((0.85, 1.0))
    assert range_around(price, 100.0, *recorded(price)) == pytest.approx((92.0, 108.0), abs=0.1)


def test_a_fall_twice_as_large_has_a_range_twice_as_wide() -> None:
    check = GUANGDONG["fall_before_deadline"]
    value, low, high = recorded(check)
    first, second = range_around(check, 2 * value, value, low, high)
    assert first < 2 * value < second < 0
    assert second - first == pytest.approx(2 * (high - low))


def test_seasons_that_agree_pass_and_seasons_that_differ_fail() -> None:
    price = GUANGDONG["vwap"]
    assert passes_as_record(price, [50.0] * 10, 0.8) == 1.0
    assert passes_as_record(price, [10.0 * 2**n for n in range(10)], 0.8) == 0.0
    assert passes_as_record(price, [50.0] * 9 + [90.0], 0.8) == 0.9, "all but the odd one"


def test_a_missing_value_neither_holds_nor_can_be_the_record() -> None:
    price = GUANGDONG["vwap"]
    assert passes_as_record(price, [50.0] * 8 + [None] * 2, 0.8) == 0.0
    assert passes_as_record(price, [50.0] * 9 + [None], 0.8) == 0.9


def test_dates_are_compared_by_their_days() -> None:
    check = GUANGDONG["lowest_close_date"]
    assert passes_as_record(check, ["2017-01-01"] * 5 + ["2017-01-25"] * 5, 0.8) == 1.0
    assert passes_as_record(check, ["2017-01-01"] * 5 + ["2017-06-25"] * 5, 0.8) == 0.0


def test_a_range_without_a_record_or_with_an_open_end_is_left_alone() -> None:
    assert passes_as_record(GUANGDONG["spread_and_depth"], [1.5] * 10, 0.8) is None
    assert passes_as_record(load_records("bea-2017").checks["april_to_june_share"], [0.6] * 10, 0.8) is None
