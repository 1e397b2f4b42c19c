"""A venue that listens on loopback, for tests: real sockets and a real journal, cheap passwords."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import argon2

from gateway.accounts import Accounts
from gateway.client import Trader
from gateway.serve import Options, Running
from gateway.wire.topics import Role

CHEAP = argon2.Parameters(
    type=argon2.Type.ID, version=19, salt_len=16, hash_len=16, time_cost=1, memory_cost=8, parallelism=1
)
PEOPLE = {"anna": Role.TRADER, "ben": Role.TRADER, "teacher": Role.INSTRUCTOR, "guest": Role.OBSERVER,
          "risk": Role.DROP_COPY}  # fmt: skip


def password_of(name: str) -> str:
    return f"{name}-secret"


def write_accounts(path: Path, people: dict[str, Role]) -> Path:
    accounts = Accounts.load(path, CHEAP)
    for name, role in people.items():
        accounts.add(name, role, password_of(name))
    accounts.save()
    return path


@asynccontextmanager
async def running(
    folder: Path, rules: str = "generic", people: dict[str, Role] | None = None, **options: Any
) -> AsyncIterator[Running]:
    """Serve from `folder`, on any free port unless told; what is there already goes on."""
    accounts = folder / "accounts.json"
    if not accounts.exists():
        write_accounts(accounts, people or PEOPLE)
    settings = {"port": 0, "rate": 0} | options
    async with Running(Options(rules, folder / "journal", accounts, **settings)) as venue:
        yield venue


def trader(venue: Running, name: str, **options: Any) -> Trader:
    """A client of that venue."""
    return Trader("127.0.0.1", venue.ports["mqtt"], name, password_of(name), role=PEOPLE[name], **options)
