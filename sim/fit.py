"""Fit the parameters that a season marks `kind = "fitted"` to the checks marked `aimed`, and to nothing else.

    python -m sim.fit SEASON … [--trials 40] [--seeds 8] [--write]

Fits on seeds 201 and up; the table of `sim/seeds.py` reports on others. The loss is the mean over seeds of the squared
distance to the record in units of each check's half range, summed over the aimed checks. `--write` puts the best values
into the scenario file, and nothing else. `sim/own.py` fits to somebody's own series in the same way.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from joblib import Parallel, delayed

from sim.checks import Records, load_records, run_checks
from sim.facts import ParameterKind
from sim.parameters import load_parameters
from sim.season import SCENARIOS, SeasonPlan, load_season
from sim.seeds import Row
from sim.world import World

FIRST_SEED = 201
STARTUP = 10
"""Trials drawn at random before the search learns."""
_WORST = 9.0
"""Loss of a check at most, and of one without a value."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Fit:
    """What a search found."""

    best: dict[str, float]
    loss: float
    within: dict[str, tuple[float, float]]
    """By parameter, the range over the trials whose loss the noise of the seeds cannot tell from the best one."""
    noise: float
    """Standard error of the best loss over its seeds."""
    trials: int
    seeds: int


def seed_loss(rows: Sequence[Row], aimed: set[str]) -> float:
    """Squared distance of one season to the record over the aimed checks."""
    total = 0.0
    for row in (row for row in rows if row["name"] in aimed):
        half = (row["high"] - row["low"]) / 2
        value = row["value"]
        total += _WORST if value is None else min(_WORST, ((value - row["recorded"]) / half) ** 2)
    return total


def _losses(plan: SeasonPlan, records: Records, changes: Mapping[str, float], seeds: range, jobs: int) -> list[float]:
    """`seed_loss` of each seed."""
    aimed = {name for name, check in records.checks.items() if check.aimed}
    no_null: dict[str, float | None] = dict.fromkeys(records.checks)

    def one(seed: int) -> float:
        season = World(plan, load_parameters(plan.parameters, **changes), seed).run()
        return seed_loss(run_checks(season, records, no_null), aimed)

    found: list[float] = Parallel(n_jobs=jobs)(delayed(one)(seed) for seed in seeds)
    return found


def fit(
    plan: SeasonPlan, records: Records, trials: int, seeds: int, jobs: int = -1, progress: Progress | None = None
) -> Fit:
    """Search inside each fitted parameter's `range`, starting from the shipped values.

    `jobs` as joblib's `n_jobs`; `progress` is told trials done, of all.
    """
    fitted = {name: own for name, own in plan.parameters.items() if own.kind == ParameterKind.FITTED}
    numbers = range(FIRST_SEED, FIRST_SEED + seeds)
    errors: dict[int, float] = {}

    def objective(trial: optuna.Trial) -> float:
        changes = {name: trial.suggest_float(name, *own.range) for name, own in fitted.items() if own.range}
        losses = _losses(plan, records, changes, numbers, jobs)
        errors[trial.number] = float(np.std(losses) / np.sqrt(len(losses)))
        if progress:
            progress(trial.number + 1, trials)
        return float(np.mean(losses))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1, n_startup_trials=STARTUP))
    study.enqueue_trial({name: own.value for name, own in fitted.items()})
    study.optimize(objective, n_trials=trials)
    noise = errors[study.best_trial.number]
    near = [trial for trial in study.trials if trial.value is not None and trial.value <= study.best_value + 2 * noise]
    within = {name: (min(t.params[name] for t in near), max(t.params[name] for t in near)) for name in fitted}
    return Fit(dict(study.best_params), study.best_value, within, noise, trials, seeds)


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
