"""Fit the parameters marked `kind = "fitted"` to the scalars whose checks are marked fitted, and to nothing else.

    python -m sim.fit [--trials 60] [--seeds 16]

Fits on seeds 201 and up; `sim/seeds.py` reports on others. The loss is the mean over seeds of the squared distance to
the record in units of each check's half range, summed over the fitted checks. Prints the best values; a human copies
them into `parameters.toml` and says so.
"""

import argparse

import numpy as np
import optuna

from sim import checks
from sim.parameters import describe, load_parameters
from sim.season import SeasonPlan, load_season
from sim.seeds import Row, many

FIRST_SEED = 201


def loss(results: list[list[Row]]) -> float:
    """Mean squared distance to the record of the fitted checks; a check without a value costs nine."""
    total = 0.0
    for row in (row for rows in results for row in rows if row["name"] in checks.FITTED):
        half = (row["high"] - row["low"]) / 2
        total += 9.0 if row["value"] is None else min(9.0, ((row["value"] - row["recorded"]) / half) ** 2)
    return total / len(results)


def fit(plan: SeasonPlan, trials: int, seeds: int) -> optuna.Study:
    """Search inside each parameter's `range`, starting from the shipped values."""
    fitted = [row for row in describe() if row["kind"] == "fitted"]
    no_null: dict[str, float | None] = dict.fromkeys(checks.load_records().checks)

    def objective(trial: optuna.Trial) -> float:
        changes = {row["name"]: trial.suggest_float(row["name"], *row["range"]) for row in fitted}
        results = many(plan, load_parameters(**changes), range(FIRST_SEED, FIRST_SEED + seeds), no_null)
        held = np.mean([[bool(row["passed"]) for row in rows] for rows in results])
        value = loss(results)
        print(f"trial {trial.number}: loss {value:.3f}, {held:.1%} of all checks hold", changes, flush=True)
        return value

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1, n_startup_trials=12))
    study.enqueue_trial({row["name"]: row["value"] for row in fitted})
    study.optimize(objective, n_trials=trials)
    return study


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=16)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = fit(load_season("cea-2021"), arguments.trials, arguments.seeds)
    print(f"best loss {study.best_value:.3f}:", study.best_params)


if __name__ == "__main__":
    main()
