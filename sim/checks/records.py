"""Record files, `sim/records/*.toml`: what was recorded of a season, and which checks are made of it.

    [monthly_volume]   tonnes by month, for the report
    [null]             the scalars to which the null model is matched
    [not_asked]        general checks that the season's own record contradicts, with the reason
    [checks.NAME]      measure and its arguments, title, recorded value, accepted range, unit, source

`general.toml` holds checks of every season. This is the only file that reads records; nothing that runs a season may
import it.
"""

import datetime as dt
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from engine.errors import ScenarioError
from sim.checks.registry import MEASURES, Measure

RECORDS = Path(__file__).parents[1] / "records"
GENERAL = "general"
"""Name of the file whose checks are asked of every season."""

Kind = Literal["evidence", "calibration", "fitted", "sanity"]
NULL_PASS_LIMIT = 0.5
"""A check that the null model passes in a larger share of its seeds is calibration."""

Value = int | float | dt.date
_PLAIN = ("measure", "title", "title_zh", "recorded", "low", "high", "unit", "source", "aimed", "sanity")
_PAIRS = (("first", "last"), ("base_first", "base_last"))


class MonthlyVolume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Recorded volume by month."""

    source: str
    volume_t: dict[str, int]
    """Tonnes in all modes, keys as 2021-07."""


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recorded share of the season's volume; both dates are included."""

    first: dt.date
    last: dt.date
    share: float


class NullScalars(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that the null model may know of a record."""

    source: str
    total_t: int
    vwap_cny: float
    return_sd: float
    """Of the daily log return."""
    block_share: float | None = None
    """None where blocks were not published apart; the null model then makes none."""
    block_min_t: int | None = None
    """Smallest block of the season's rulebook."""
    windows: list[Window] = []


class _Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a check says beside the arguments of its measure."""

    measure: str
    title: str
    title_zh: str
    unit: str
    source: str
    recorded: Value | None = None
    """None where nothing was published."""
    low: Value | None = None
    """Smallest accepted value; None is open."""
    high: Value | None = None
    """Largest accepted value; None is open."""
    aimed: bool = False
    """A fitted parameter was aimed at it."""
    sanity: bool = False
    """Any usable model must pass it."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record file; checks are taken apart by hand."""

    monthly_volume: MonthlyVolume | None = None
    null: NullScalars | None = None
    not_asked: dict[str, str] = {}
    checks: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True)
class Check:
    """One row of the table of checks. Dates are ISO text, so that values of either type compare in order."""

    name: str
    measure: str
    arguments: dict[str, Any]
    title: str
    title_zh: str
    unit: str
    source: str
    recorded: int | float | str | None
    low: int | float | str | None
    high: int | float | str | None
    aimed: bool
    sanity: bool

    def kind(self, null_pass_rate: float | None) -> Kind:
        """What a pass is worth, given how often the null model passes too."""
        if self.sanity:
            return "sanity"
        if self.aimed:
            return "fitted"
        if null_pass_rate is None:
            return "sanity"
        return "calibration" if null_pass_rate > NULL_PASS_LIMIT else "evidence"


@dataclass(frozen=True)
class Records:
    """What is held against a season: its own record and the general checks."""

    name: str
    monthly_volume: MonthlyVolume | None
    null: NullScalars | None
    """None where nothing was recorded that a null model could be matched to."""
    checks: dict[str, Check]
    """By name, the season's own first; what is not asked is absent."""
    not_asked: dict[str, str]
    """General checks left out, with the reason."""


def _fail(path: Path, key: str, value: object, expected: str) -> ScenarioError:
    shown = str(value) if isinstance(value, dt.date) else repr(value)
    return ScenarioError(f"{path.name}: {key}: got {shown}, expected {expected}")


def _convert(path: Path, key: str, value: object, wanted: Any) -> Any:
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        expected = str(error).removeprefix("Expected ")
        raise _fail(path, key, value, expected) from None


def _arguments(path: Path, key: str, entry: dict[str, Any], found: Measure) -> dict[str, Any]:
    """Typed arguments of a check's measure."""
    known = ", ".join(sorted(found.arguments)) or "no argument"
    given = {name: value for name, value in entry.items() if name not in _PLAIN}
    for name in given.keys() - found.arguments.keys():
        raise _fail(path, f"{key}.{name}", given[name], f"for measure {entry['measure']}: {known}")
    for name in sorted(found.needed - given.keys()):
        raise _fail(path, f"{key}.{name}", None, f"a value, which measure {entry['measure']} needs")
    typed = {name: _convert(path, f"{key}.{name}", value, found.arguments[name]) for name, value in given.items()}
    for first, last in _PAIRS:
        if typed.get(first) and typed.get(last) and typed[last] < typed[first]:
            raise _fail(path, f"{key}.{last}", typed[last], f"no day before {typed[first]}")
    return typed


def _values(path: Path, key: str, plain: _Check) -> dict[str, int | float | str | None]:
    """Recorded value and range, of the kind that the unit wants, in order."""
    texts: dict[str, int | float | str | None] = {}
    for name, value in (("recorded", plain.recorded), ("low", plain.low), ("high", plain.high)):
        if value is not None and isinstance(value, dt.date) != (plain.unit == "date"):
            raise _fail(path, f"{key}.{name}", value, "a date" if plain.unit == "date" else "a number")
        texts[name] = value.isoformat() if isinstance(value, dt.date) else value
    if plain.low is None and plain.high is None:
        raise _fail(path, f"{key}.low", None, "low, high, or both")
    if plain.low is not None and plain.high is not None and not plain.low <= plain.high:  # type: ignore[operator]
        raise _fail(path, f"{key}.high", plain.high, f"nothing below {plain.low}")
    if plain.aimed and (None in texts.values() or plain.unit == "date"):
        raise _fail(path, f"{key}.aimed", plain.aimed, "numbers for recorded, low and high where a parameter was aimed")
    return texts


def _read_check(path: Path, name: str, entry: dict[str, Any]) -> Check:
    key = f"checks.{name}"
    plain: _Check = _convert(path, key, {k: v for k, v in entry.items() if k in _PLAIN}, _Check)
    if plain.measure not in MEASURES:
        raise _fail(path, f"{key}.measure", plain.measure, f"one of {', '.join(sorted(MEASURES))}")
    found = MEASURES[plain.measure]
    if plain.unit != found.unit:
        raise _fail(path, f"{key}.unit", plain.unit, f"{found.unit}, the unit of measure {plain.measure}")
    if not plain.source or not plain.title or not plain.title_zh:
        raise _fail(path, key, entry, "source, title and title_zh that say something")
    return Check(
        name=name,
        measure=plain.measure,
        arguments=_arguments(path, key, entry, found),
        title=plain.title,
        title_zh=plain.title_zh,
        unit=plain.unit,
        source=plain.source,
        aimed=plain.aimed,
        sanity=plain.sanity,
        **_values(path, key, plain),
    )


def _check_null(path: Path, null: NullScalars) -> None:
    """What the types cannot say."""
    for name in ("total_t", "vwap_cny", "return_sd"):
        if getattr(null, name) <= 0:
            raise _fail(path, f"null.{name}", getattr(null, name), "a number above 0")
    if (null.block_share is None) != (null.block_min_t is None):
        raise _fail(path, "null.block_min_t", null.block_min_t, "a minimum exactly where there is a block_share")
    if null.block_share is not None and not 0 < null.block_share < 1:
        raise _fail(path, "null.block_share", null.block_share, "a share between 0 and 1; left out where there is none")
    for number, window in enumerate(null.windows):
        if not 0 <= window.share <= 1:
            raise _fail(path, f"null.windows[{number}].share", window.share, "a share from 0 to 1")
        if window.last < window.first:
            raise _fail(path, f"null.windows[{number}].last", window.last, f"no day before {window.first}")


def _read(path: Path) -> Records:
    """One file, checked."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path.name}: {error}") from None
    try:
        file = msgspec.convert(data, _File)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{path.name}: {error}") from None
    if file.null is not None:
        _check_null(path, file.null)
    checks = {name: _read_check(path, name, entry) for name, entry in file.checks.items()}
    return Records(path.stem, file.monthly_volume, file.null, checks, file.not_asked)


def load_records(name: str) -> Records:
    """What was recorded of a season.

    Parameters
    ----------
    name
        Of the scenario. One without a record file has the general checks alone and no null model.

    Raises
    ------
    ScenarioError
        Naming file, key, value and expectation.
    """
    general = _read(RECORDS / f"{GENERAL}.toml")
    path = RECORDS / f"{name}.toml"
    own = _read(path) if path.is_file() else Records(name, None, None, {}, {})
    for check, reason in own.not_asked.items():
        if check not in general.checks or check in own.checks:
            expected = f"one of {', '.join(general.checks)} that is no check of the season's own"
            raise _fail(path, "not_asked", check, expected)
        if not reason:
            raise _fail(path, f"not_asked.{check}", reason, "a reason")
    asked = {check: row for check, row in general.checks.items() if check not in own.not_asked}
    return Records(own.name, own.monthly_volume, own.null, own.checks | {
        check: row for check, row in asked.items() if check not in own.checks
    }, own.not_asked)  # fmt: skip
