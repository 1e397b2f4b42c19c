"""One season that trades through a journaled gateway of its own (`emex replay SCENARIO --via gateway`).

A server is started for it and ended after it, and its journal must replay to what the season saw. Only the command
imports this, when it is asked for: a season in process needs no server, and runs where there is none.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.spawn import spawned
from gateway.verify import verify
from gateway.wire.topics import Role
from sim.parameters import Parameters
from sim.remote import SERVE_OPTIONS, RemoteVenue
from sim.replay import timed
from sim.result import Season
from sim.season import SeasonPlan
from sim.world import World

OPERATOR = "season"
"""As whom a season commands its gateway."""


def through_gateway(
    plan: SeasonPlan, p: Parameters, seed: int, out: Path | None, progress: Callable[[int, int], None] | None = None
) -> tuple[Season, float, dict[str, Any]]:
    """One season; its journal is kept in `out` (None: not kept).

    Returns the season, the seconds it took, and about its journal what `gateway.verify.verify` found, `payloads` and
    `questions` sent, and `held`: every invariant holds, and it replays to this season's events. Raises `EmexError`.
    """
    with tempfile.TemporaryDirectory(prefix="emex-replay-") as folder:
        venue_folder, rules = Path(folder) / "venue", Path(folder) / f"{plan.market}.toml"
        venue_folder.mkdir()
        rules.write_bytes(plan.rules)
        with (
            spawned(venue_folder, str(rules), {OPERATOR: Role.INSTRUCTOR}, *SERVE_OPTIONS) as server,
            RemoteVenue(server.ports["mqtt"], OPERATOR, server.passwords[OPERATOR]) as venue,
        ):
            season, seconds = timed(World(plan, p, seed, venue=venue), progress)
        journal = verify(server.journal)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            for name in (server.journal.name, f"{server.journal.name}.witness"):
                shutil.copyfile(server.journal.with_name(name), out / name)
    held = all(journal["invariants"].values()) and journal["digest"] == season.digest
    return season, seconds, journal | {"payloads": venue.payloads, "questions": venue.questions, "held": held}
