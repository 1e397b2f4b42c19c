"""Record files: read strictly, merged with the general checks, and consistent where they ship."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import ScenarioError
from sim.checks import load_records
from sim.checks.records import GENERAL, RECORDS
from sim.facts import ParameterKind
from sim.season import SCENARIOS, load_season

SEASON = "cea-2021"
FILE = """
[null]
source = "nobody"
total_t = 1_000
vwap_cny = 40.0
return_sd = 0.02
block_share = 0.5
block_min_t = 100
windows = [{ first = 2021-12-01, last = 2021-12-31, share = 0.8 }]

[not_asked]
clustering = "too short"

[checks.december]
measure = "share_between"
first = 2021-12-01
last = 2021-12-31
title = "December"
title_zh = "12月"
recorded = 0.8
low = 0.7
high = 0.9
unit = "share"
source = "nobody"
aimed = true

[checks.low_date]
measure = "close_low_date"
title = "Low"
title_zh = "最低"
low = 2021-11-16
unit = "date"
source = "nobody"
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a record named `made-up` into a folder of its own, beside the general checks."""
    (tmp_path / f"{GENERAL}.toml").write_text((RECORDS / f"{GENERAL}.toml").read_text("utf-8"), "utf-8")
    monkeypatch.setattr("sim.checks.records.RECORDS", tmp_path)
    return lambda text: (tmp_path / "made-up.toml").write_text(text, "utf-8") and None


def test_a_record_is_read(write: Callable[[str], None]) -> None:
    write(FILE)
    records = load_records("made-up")
    general = list(load_records("no such season").checks)
    assert list(records.checks) == ["december", "low_date", *(name for name in general if name != "clustering")]
    assert records.checks["december"].arguments == {"first": dt.date(2021, 12, 1), "last": dt.date(2021, 12, 31)}
    assert records.checks["low_date"].low == "2021-11-16"
    assert records.not_asked == {"clustering": "too short"}
    assert records.monthly_volume is None
    assert records.null is not None
    assert records.null.windows[0].last == dt.date(2021, 12, 31)


def test_a_check_of_the_seasons_own_replaces_a_general_one(write: Callable[[str], None]) -> None:
    write(FILE.replace("[checks.low_date]", "[checks.offset_spread]"))
    assert load_records("made-up").checks["offset_spread"].measure == "close_low_date"


def test_without_a_record_the_general_checks_are_asked(write: Callable[[str], None]) -> None:
    write(FILE)
    records = load_records("no such season")
    assert (records.null, records.monthly_volume) == (None, None)
    assert "return_shape" in records.checks


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"share_between"', '"share_betwixt"', "checks.december.measure: got 'share_betwixt', expected one of b"),
        ("first = 2021-12-01\nlast", "start = 2021-12-01\nlast", "checks.december.start: got 2021-12-01, expected f"),
        ("first = 2021-12-01\nlast", "last", "checks.december.first: got None, expected a value, which measure s"),
        ("first = 2021-12-01\nlast", "first = 31\nlast", "checks.december.first: got 31, expected `date`"),
        ("last = 2021-12-31\nti", "last = 2021-11-30\nti", "checks.december.last: got 2021-11-30, expected no day"),
        ('unit = "share"', 'unit = "t"', "checks.december.unit: got 't', expected share, the unit of mea"),
        ('title = "December"\n', "", "checks.december: got .*missing required field `title`"),
        ('title_zh = "12月"', 'title_zh = ""', "checks.december: got .*expected source, title and title_zh"),
        ("low = 0.7", 'low = "0.7"', "checks.december: got .*expected `int | float | date | null`"),
        ("low = 0.7", "low = 2021-12-01", "checks.december.low: got 2021-12-01, expected a number"),
        ("low = 0.7", "low = 0.95", "checks.december.high: got 0.9, expected nothing below 0.95"),
        ("low = 0.7\n", "", "checks.december.aimed: got True, expected numbers for recorded"),
        ("low = 2021-11-16\n", "", "checks.low_date.low: got None, expected low, high, or both"),
        ("low = 2021-11-16", "low = 16", "checks.low_date.low: got 16, expected a date"),
        ("vwap_cny = 40.0", "vwap_cny = 0.0", "null.vwap_cny: got 0.0, expected a number above 0"),
        ("block_min_t = 100\n", "", "null.block_min_t: got None, expected a minimum exactly where"),
        ("block_share = 0.5", "block_share = 1.0", "null.block_share: got 1.0, expected a share between 0 and 1"),
        ("share = 0.8 }", "share = 80 }", r"null.windows\[0\].share: got 80.0, expected a share from 0 to 1"),
        ("last = 2021-12-31, share", "last = 2020-12-31, share", r"null.windows\[0\].last: got 2020-12-31, expected"),
        ("total_t = 1_000", "total = 1_000", "Object missing required field `total_t`|unknown field `total`"),
        ('clustering = "too short"', 'clusters = "too short"', "not_asked: got 'clusters', expected one of r"),
        ('clustering = "too short"', 'clustering = ""', "not_asked.clustering: got '', expected a reason"),
        ("[not_asked]", "[not asked]", "made-up.toml: "),
    ],
)  # fmt: skip
def test_a_record_with_an_error_is_refused(write: Callable[[str], None], old: str, new: str, message: str) -> None:
    assert old in FILE
    write(FILE.replace(old, new, 1))
    with pytest.raises(ScenarioError) as refused:
        load_records("made-up")
    assert str(refused.value).startswith("made-up.toml: ")
    assert re.search(message, str(refused.value)), refused.value


SHIPPED = sorted(path.stem for path in RECORDS.glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_records_are_consistent(name: str) -> None:
    records = load_records(name)
    for check in records.checks.values():
        assert check.source, check.name
        if check.recorded is not None:
            assert check.low is None or check.low <= check.recorded, check.name  # type: ignore[operator]
            assert check.high is None or check.recorded <= check.high, check.name  # type: ignore[operator]
    if records.monthly_volume is not None:
        assert all(re.fullmatch(r"\d{4}-\d\d", month) for month in records.monthly_volume.volume_t)
        assert records.null is not None
        # Months may be of the screen alone where agreements are known as a total.
        assert 0 < sum(records.monthly_volume.volume_t.values()) <= 1.01 * records.null.total_t


def test_the_first_seasons_record_is_consistent() -> None:
    records = load_records(SEASON)
    assert records.monthly_volume is not None
    assert records.null is not None
    volume_t = records.monthly_volume.volume_t
    total_t = sum(volume_t.values())
    recorded = {name: check.recorded for name, check in records.checks.items()}
    assert total_t == recorded["total_volume"] == records.null.total_t
    assert volume_t["2021-12"] / total_t == pytest.approx(recorded["december_share"], abs=5e-4)
    last_two_t = volume_t["2021-11"] + volume_t["2021-12"]
    assert last_two_t / total_t == pytest.approx(recorded["last_two_months_share"], abs=5e-4)
    assert recorded["firms_compliant"] == pytest.approx(1833 / 2162, abs=5e-4)
    shares = [window.share for window in records.null.windows]
    assert shares == [recorded["december_share"], recorded["last_two_months_share"]]
    for name in ("block_share", "return_sd"):
        assert getattr(records.null, name) == recorded[name]
    assert records.null.vwap_cny == recorded["vwap"]
    assert {name for name, check in records.checks.items() if check.aimed} == {
        "total_volume", "december_share", "block_share", "low_level", "vwap", "return_sd", "firms_compliant",
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in SHIPPED if (SCENARIOS / f"{name}.toml").is_file()])
def test_parameters_were_aimed_at_something_exactly_where_they_were_fitted(name: str) -> None:
    aimed = [check.name for check in load_records(name).checks.values() if check.aimed]
    own = load_season(name).parameters.values()
    assert bool(aimed) == any(parameter.kind == ParameterKind.FITTED for parameter in own), aimed
