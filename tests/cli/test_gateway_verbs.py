"""The gateway's verbs as an operator types them: accounts, serve, load, verify, export."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import emex
from gateway.hours import Hours
from gateway.transports.broker_acl import BrokerKind
from gateway.wire.topics import Role

ROOT = Path(__file__).parents[2]


def _emex(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emex", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def _json(*arguments: object) -> Any:
    done = _emex(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def served(*options: object) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """A venue as a process, and what it has said when it was ready."""
    command = [sys.executable, "-m", "emex", "serve", *map(str, options), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        try:
            yield server, json.loads(server.stdout.readline())
        finally:
            server.terminate()


@pytest.mark.parametrize("verb", ["serve", "load", "verify", "export", "broker-acl"])
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    done = _emex(verb, "--help")
    assert done.returncode == 0
    assert f"emex {verb}" in done.stdout.split("Example")[1]


@pytest.mark.parametrize("module", ["sim.replay", "sim.doctor", "gateway.files", "gateway.client"])
def test_what_needs_no_server_loads_where_none_can_run(module: str) -> None:
    # Windows has neither; a season, a file of orders and a client must do without.
    program = f"import sys; sys.modules['fcntl'] = sys.modules['resource'] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("said", "meant"), [(emex.Hours, Hours), (emex.BrokerName, BrokerKind), (emex.RoleName, Role)])
def test_the_commands_words_are_those_of_the_gateway(said: type[StrEnum], meant: type[StrEnum]) -> None:
    assert [word.value for word in said] == [word.value for word in meant]


@pytest.mark.parametrize("verb", ["list", "add", "password", "remove"])
def test_every_verb_about_accounts_has_help_with_an_example(verb: str) -> None:
    done = _emex("accounts", verb, "--help")
    assert done.returncode == 0
    assert f"emex accounts {verb}" in done.stdout.split("Example")[1]


def test_accounts_are_added_listed_changed_and_removed(tmp_path: Path) -> None:
    file = tmp_path / "class" / "accounts.json"
    made = _json("accounts", "add", file, "anna", "ben")
    assert set(made) == {"anna", "ben"}
    assert set(_json("accounts", "add", file, "prof", "--role", "instructor")) == {"prof"}
    rows = _json("accounts", "list", file)
    assert [(row["name"], row["role"]) for row in rows] == [
        ("anna", "trader"), ("ben", "trader"), ("prof", "instructor")
    ]  # fmt: skip
    assert _json("accounts", "password", file, "ben")["ben"] != made["ben"]
    assert _emex("accounts", "remove", file, "anna").returncode == 0
    assert [row["name"] for row in _json("accounts", "list", file)] == ["ben", "prof"]
    assert not any(password in file.read_text() for password in made.values())


@pytest.mark.parametrize(("names", "word"), [(["chen", "anna"], "exists already"), (["chen", "Dora"], "expected 1 to")])
def test_accounts_are_added_all_or_none(tmp_path: Path, names: list[str], word: str) -> None:
    file = tmp_path / "accounts.json"
    _json("accounts", "add", file, "anna")
    before = file.read_bytes()
    done = _emex("accounts", "add", file, *names)
    assert done.returncode == 2
    assert word in done.stderr
    assert done.stderr.count("\n") == 1
    assert file.read_bytes() == before


@pytest.mark.parametrize("options", [["--rules", "generic"], ["--rules", "hubei"], ["--batch", "25", "--messages"]])
def test_a_spawned_load_is_answered_whole_and_its_books_agree(options: list[str]) -> None:
    result = _json("load", "--spawn", "--rate", "500", "--seconds", "2", "--traders", "4", *options)
    assert result["sent"] == result["acked"] == 1000
    assert (result["lost"], result["doubled"], result["unexplained"]) == (0, 0, 0)
    assert result["traded_t"] > 0
    assert sum(count for _, count in result["ack_histogram"]) * result["batch"] == 1000
    assert 0 < result["ack_ms"]["p50"] <= result["ack_ms"]["p99"] <= result["ack_ms"]["p999"]


def test_a_venue_is_loaded_stopped_verified_exported_and_started_again(tmp_path: Path) -> None:
    journal, accounts = tmp_path / "journal", tmp_path / "accounts.json"
    passwords = _json("accounts", "add", accounts, "anna", "ben")
    known = tmp_path / "passwords"
    known.write_text("".join(f"{name} {password}\n" for name, password in passwords.items()))
    where = "generic", "--journal", journal, "--accounts", accounts, "--rate", "0"
    with served(*where) as (server, said):
        load = _json("load", "--passwords", known, "--port", said["ports"]["mqtt"], "--rate", "500", "--seconds", "1")
        running = _json("verify", journal)
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
    assert load["unexplained"] == 0
    stopped = _json("verify", journal)
    assert running["digest"] == stopped["digest"]
    assert all(stopped["invariants"].values())
    exported = _json("export", journal, "--out", tmp_path / "tape")
    assert exported["events"] == stopped["events"] == pq.read_table(tmp_path / "tape" / "events.parquet").num_rows
    commands = pq.read_table(tmp_path / "tape" / "commands.parquet")
    assert commands.num_rows == stopped["records"]
    assert commands.column("seq").to_pylist().count(1) == 2, "each account's first request"
    with served(*where) as (server, _):
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
    assert _json("verify", journal)["digest"] == stopped["digest"], "a start in the same phase adds nothing"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["load"], "expected either --spawn, or --passwords"),
        (["load", "--spawn", "--rules", "nowhere"], "nowhere"),
        (["load", "--spawn", "--symbol", "GOLD", "--seconds", "1"], "symbol: got 'GOLD', expected one of ANY"),
        (["verify", "no-such-journal"], "there is no such journal"),
        (["serve", "nowhere", "--journal", "{folder}/journal", "--accounts", "{folder}/accounts.json"], "nowhere"),
    ],
    ids=["load without a venue", "unknown rules", "unknown symbol", "no journal", "serve unknown rules"],
)
def test_bad_input_is_one_line_and_status_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = _emex(*(argument.format(folder=tmp_path) for argument in arguments))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "journal").exists()
