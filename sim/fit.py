"""Fit the parameters that a season marks `kind = "fitted"` to the checks marked `aimed`, and to nothing else.

    python -m sim.fit SEASON … [--trials 40] [--seeds 8] [--write]

Fits on seeds 201 and up; the table of `sim/seeds.py` reports on others. A residual is the distance of one check in one
season to the record, in units of the check's half range, beyond one by its logarithm; their squares are made least by
a trust region (SciPy's `least_squares`, Branch, Coleman and Li, 1999) from the shipped values on, inside each
parameter's range. `--write` puts the best values into the scenario file, and nothing else. `sim/own.py` fits to
somebody's own series in the same way.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from scipy.optimize import least_squares

from sim.checks import Records, load_records, run_checks
from sim.facts import OwnParameter, ParameterKind
from sim.parameters import load_parameters
from sim.season import SCENARIOS, SeasonPlan, load_season
from sim.seeds import Row
from sim.world import World

FIRST_SEED = 201
STEP = 0.07
"""Share of a parameter's range by which it is moved to see what that does."""
SETTLED = 0.003
"""A step by less than this, or a gain of less than this share, ends the search."""
WIDE = 4.0
"""A range whose end is so many times its beginning is searched by ratios."""
_MISSING = 5.0
"""Residual of a check without a value: as if it were 55 half ranges away."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Fit:
    """What a search found."""

    best: dict[str, float]
    loss: float
    """Sum of squared residuals, mean over seeds."""
    within: dict[str, tuple[float, float]]
    """By parameter, two standard errors around the best value, by the slopes there (cut to the range)."""
    noise: float
    """Standard error of the best loss over its seeds."""
    trials: int
    """Parameter sets looked at."""
    seeds: int


def _distance(value: float, recorded: float, half: float) -> float:
    """In half ranges; beyond one by its logarithm, so that nothing far away outweighs all else and all has a slope."""
    ratio = (value - recorded) / half
    return ratio if abs(ratio) <= 1 else float(np.copysign(1 + np.log(abs(ratio)), ratio))


def residuals_of(rows: Sequence[Row], aimed: set[str]) -> list[float]:
    """Distance of one season to the record by aimed check."""
    return [
        _MISSING if row["value"] is None else _distance(row["value"], row["recorded"], (row["high"] - row["low"]) / 2)
        for row in rows
        if row["name"] in aimed
    ]


def _residuals(plan: SeasonPlan, records: Records, changes: Mapping[str, float], seeds: range, jobs: int) -> np.ndarray:
    """`residuals_of` each seed, shape (seeds, aimed checks)."""
    aimed = {name for name, check in records.checks.items() if check.aimed}
    no_null: dict[str, float | None] = dict.fromkeys(records.checks)

    def one(seed: int) -> list[float]:
        season = World(plan, load_parameters(plan.parameters, **changes), seed).run()
        return residuals_of(run_checks(season, records, no_null), aimed)

    return np.array(Parallel(n_jobs=jobs)(delayed(one)(seed) for seed in seeds))


class _Space:
    """Fitted parameters as places between 0 and 1 in their ranges."""

    def __init__(self, fitted: Mapping[str, OwnParameter]) -> None:
        self.names = list(fitted)
        self._low, self._high = np.array([own.range for own in fitted.values()], float).T
        self._ratios = (self._low > 0) & (self._high > WIDE * self._low)

    def _straight(self, values: np.ndarray) -> np.ndarray:
        return np.where(self._ratios, np.log(np.where(self._ratios, values, 1.0)), values)

    def places(self, values: Sequence[float]) -> np.ndarray:
        """Of parameter values, float, shape (parameters,)."""
        low, high = self._straight(self._low), self._straight(self._high)
        found: np.ndarray = np.clip((self._straight(np.array(values, float)) - low) / (high - low), 0, 1)
        return found

    def values(self, places: np.ndarray) -> dict[str, float]:
        """Parameter values by name; places outside are brought to the end of the range."""
        low, high = self._straight(self._low), self._straight(self._high)
        straight = low + np.clip(places, 0, 1) * (high - low)
        found = np.clip(np.where(self._ratios, np.exp(straight), straight), self._low, self._high)
        return dict(zip(self.names, found.tolist(), strict=True))


class _SpentError(Exception):
    """All trials are spent."""


class _Search:
    """The residuals as SciPy asks for them, counted and remembered."""

    def __init__(
        self, look: Callable[[dict[str, float]], np.ndarray], space: _Space, trials: int, progress: Progress | None
    ) -> None:
        self._look, self._space, self._trials, self._progress = look, space, trials, progress
        self.spent = 0
        self._seen: dict[bytes, np.ndarray] = {}
        self.best: tuple[float, np.ndarray, np.ndarray] = (np.inf, np.zeros(0), np.zeros(0))
        """(loss, places, residuals)."""
        self.slopes: np.ndarray | None = None
        """At the last place where they were asked for, shape (residuals, parameters)."""

    def residuals(self, places: np.ndarray) -> np.ndarray:
        """All residuals of a place, shape (seeds x checks,)."""
        key = np.asarray(places, float).tobytes()
        if key not in self._seen:
            if self.spent == self._trials:
                raise _SpentError
            found = self._look(self._space.values(places))
            self.spent += 1
            if self._progress:
                self._progress(self.spent, self._trials)
            self._seen[key] = found.ravel()
            loss = float((found**2).sum() / len(found))
            if loss < self.best[0]:
                self.best = (loss, np.array(places), found)
        return self._seen[key]

    def jacobian(self, places: np.ndarray) -> np.ndarray:
        """Slopes by one step of each parameter, towards the middle of its range."""
        here, columns = self.residuals(places), []
        for number, place in enumerate(places):
            step = STEP if place < 1 / 2 else -STEP
            moved = np.array(places)
            moved[number] += step
            columns.append((self.residuals(moved) - here) / step)
        self.slopes = np.array(columns).T
        return self.slopes


def fit(
    plan: SeasonPlan, records: Records, trials: int, seeds: int, jobs: int = -1, progress: Progress | None = None
) -> Fit:
    """Search inside each fitted parameter's `range`, starting from the shipped values.

    `trials`: parameter sets looked at, at most; `jobs` as joblib's `n_jobs`; `progress` is told trials done, of all.
    """
    fitted = {name: own for name, own in plan.parameters.items() if own.kind == ParameterKind.FITTED}
    numbers, space = range(FIRST_SEED, FIRST_SEED + seeds), _Space(fitted)
    search = _Search(lambda changes: _residuals(plan, records, changes, numbers, jobs), space, trials, progress)
    start = space.places([own.value for own in fitted.values()])
    search.residuals(start)
    inside = np.clip(start, SETTLED, 1 - SETTLED)  # where a step in either direction is possible
    with suppress(_SpentError):
        least_squares(
            search.residuals, inside, search.jacobian, bounds=(0, 1), xtol=SETTLED, ftol=SETTLED, gtol=1e-9,
            max_nfev=trials,
        )  # fmt: skip
    loss, places, residuals = search.best
    by_seed = (residuals**2).sum(axis=1)
    return Fit(
        space.values(places) if search.spent > 1 else {name: own.value for name, own in fitted.items()},
        loss, _within(space, places, residuals, search.slopes), float(np.std(by_seed) / np.sqrt(seeds)),
        search.spent, seeds,
    )  # fmt: skip


def _within(
    space: _Space, places: np.ndarray, residuals: np.ndarray, slopes: np.ndarray | None
) -> dict[str, tuple[float, float]]:
    """Two standard errors each way; the whole range without slopes, or where nothing depends on a parameter."""
    errors = np.ones(len(places))
    if slopes is not None:
        free = max(1, residuals.size - len(places))
        curved = slopes.T @ slopes
        moves = np.diag(curved) > 0
        variance = np.diag(np.linalg.pinv(curved)) * float((residuals**2).sum()) / free
        errors = np.where(moves, np.sqrt(np.maximum(variance, 0)), 1.0)
    low, high = space.values(places - 2 * errors), space.values(places + 2 * errors)
    return {name: (low[name], high[name]) for name in space.names}


def write(plan: SeasonPlan, found: Fit) -> None:
    """Put the best values into the scenario's [parameters]; every other byte stays."""
    path = SCENARIOS / f"{plan.name}.toml"
    text = path.read_text("utf-8")
    for name, value in found.best.items():
        pattern = rf"^({name} = \{{ value = )[^,]+(, kind = \"fitted\")"
        text, count = re.subn(pattern, rf"\g<1>{value:.4g}\g<2>", text, flags=re.MULTILINE)
        assert count == 1, f"{path.name}: parameters.{name}: expected one line that begins with value"
    path.write_text(text, "utf-8")


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seasons", nargs="+")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.seasons:
        plan = load_season(name)
        found = fit(plan, load_records(name), arguments.trials, arguments.seeds, arguments.jobs)
        print(f"{name}: loss {found.loss:.3f} (noise {found.noise:.3f})", found.best, found.within, flush=True)
        if arguments.write:
            write(plan, found)


if __name__ == "__main__":
    main()
