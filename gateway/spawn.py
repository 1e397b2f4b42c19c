"""A venue of one's own for a while: a journaled server as another process, on loopback, in a folder of the caller's.

For `emex load --spawn`, and for a season that trades through the gateway. Its logs stand in the folder.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gateway.accounts import Accounts, new_password
from gateway.errors import GatewayError
from gateway.wire.topics import Role


class Spawned(NamedTuple):
    """A server that runs."""

    ports: dict[str, int]
    """Where it listens: by "mqtt" and, if asked for, "websocket" and "metrics"."""
    passwords: dict[str, str]
    """By name."""
    journal: Path
    """Complete once the server has ended."""


@contextmanager
def spawned(folder: Path, rules: str, people: Mapping[str, Role], *options: str) -> Iterator[Spawned]:
    """Serve from an empty folder until the block is left. Raises `GatewayError` when it does not start.

    Parameters
    ----------
    people : who may log on; passwords are made for them
    options : further options of `emex serve`
    """
    accounts, journal, log = folder / "accounts.json", folder / "journal", folder / "server.log"
    holders = Accounts.load(accounts)
    passwords = {name: new_password() for name in people}
    for name, role in people.items():
        holders.add(name, role, passwords[name])
    holders.save()
    command = [sys.executable, "-m", "emex", "serve", rules, "--journal", str(journal), "--accounts", str(accounts),
               "--port", "0", "--json", *options]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with log.open("wb") as errors, subprocess.Popen(  # noqa: S603  (our own program)
        command, stdout=subprocess.PIPE, stderr=errors, env=environment
    ) as server:  # fmt: skip
        assert server.stdout is not None
        try:
            line = server.stdout.readline()
            if not line:
                said = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
                raise GatewayError(f"the server ended with status {server.wait()} before it was ready: {said[-1]}")
            yield Spawned(json.loads(line)["ports"], passwords, journal)
        finally:
            server.terminate()
            server.wait()  # also after Ctrl-C, which `Popen` would not wait for: the folder goes next
