"""A real Mosquitto on loopback, for tests: accounts, access list and passwords as a site would set them up.

Where it is missing it is installed by apt, but only as root in a container: elsewhere that would start a service.
"""

import asyncio
import functools
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.accounts import Accounts
from gateway.serve import Running
from gateway.transports.bridge import Broker
from gateway.transports.broker_acl import BrokerKind, access_list
from gateway.wire.topics import Role
from tests.gateway.running import PEOPLE, password_of, running, write_accounts

VENUE = "emex"
TOOLS = ("mosquitto", "mosquitto_passwd", "mosquitto_pub", "mosquitto_sub")
PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
CONFIGURATION = """
listener {port} 127.0.0.1
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
set_tcp_nodelay true
max_inflight_messages 1000
max_queued_messages 100000
log_dest file {folder}/log
log_type all
"""


@functools.cache
def why_not() -> str | None:
    """Why there is no Mosquitto; None when there is one."""
    if all(shutil.which(tool, path=PATH) for tool in TOOLS):
        return None
    by_hand = "apt-get install mosquitto mosquitto-clients"
    if shutil.which("apt-get") is None or os.geteuid() != 0 or Path("/run/systemd/system").exists():
        return f"no Mosquitto, and this is no container where tests may install it: {by_hand}"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ("apt-get update", "apt-get install -y --no-install-recommends mosquitto mosquitto-clients"):
        done = subprocess.run(command.split(), env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"no Mosquitto, and {command!r} failed: {done.stderr.strip()[-200:]}"
    return None


def tool(name: str) -> str:
    """Path of one of `TOOLS`; skips the test where there is no Mosquitto."""
    reason = why_not()
    if reason:
        print(reason)
        pytest.skip(reason)
    return shutil.which(name, path=PATH) or name


class Mosquitto:
    """One broker; `stop` and `start` it as the test likes, it keeps its port."""

    def __init__(self, folder: Path, accounts: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        holders = list(Accounts.load(accounts))
        (folder / "acl").write_text(access_list(BrokerKind.MOSQUITTO, holders, VENUE))
        names = [VENUE, *(holder.name for holder in holders), "stranger"]
        passwords = folder / "passwords"
        passwords.write_text("".join(f"{name}:{password_of(name)}\n" for name in names))
        subprocess.run([tool("mosquitto_passwd"), "-U", passwords], check=True)
        user = f"user {os.environ.get('USER', 'root')}\n" if os.geteuid() == 0 else ""
        (folder / "conf").write_text(user + CONFIGURATION.format(port=self.port, folder=folder))
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> Broker:
        """For the venue."""
        return Broker("127.0.0.1", self.port, VENUE, password_of(VENUE))

    async def start(self) -> None:
        """Returns when it answers."""
        self._process = await asyncio.create_subprocess_exec(tool("mosquitto"), "-c", str(self.folder / "conf"))
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return
        raise TimeoutError((self.folder / "log").read_text())

    async def stop(self) -> None:
        """Kill it: what it has not written is gone."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def mosquitto(folder: Path, people: dict[str, Role] | None = None) -> AsyncIterator[Mosquitto]:
    """A broker for the accounts in `folder`, which are made where there are none."""
    accounts = folder / "accounts.json"
    if not accounts.exists():
        write_accounts(accounts, people or PEOPLE)
    broker = Mosquitto(folder / "broker", accounts)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


@asynccontextmanager
async def running_at(broker: Mosquitto, folder: Path, **options: Any) -> AsyncIterator[Running]:
    """A venue that is a client of that broker and has no server of its own."""
    async with running(folder, port=None, broker=broker.address, **options) as venue:
        assert venue.bridge is not None
        await asyncio.wait_for(venue.bridge.connected.wait(), 10)
        yield venue
