"""The command as a user types it: streams, exit status, JSON, errors of one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

ROOT = Path(__file__).parents[2]
ORDERS = """time_ns,action,id,account,side,type,tif,price,quantity
1,new,s1,anna,sell,limit,day,10.00,5
2,new,b1,ben,buy,limit,day,10.10,3
3,cancel,s1,anna,,,,,
"""


def _emex(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emex", *arguments],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment}, check=False,
    )  # fmt: skip


def test_help_lists_the_verbs_and_imports_neither_numpy_nor_numba() -> None:
    done = _emex("--help", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    for verb in ("replay", "scenarios", "rules", "match", "doctor"):
        assert verb in done.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"numpy", "numba", "pyarrow", "plotly"}


@pytest.mark.parametrize("verb", ["replay", "scenarios", "rules", "match", "doctor"])
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    done = _emex(verb, "--help")
    assert done.returncode == 0
    assert f"emex {verb}" in done.stdout.split("Example")[1]


def test_scenarios_and_rules_as_json() -> None:
    scenarios = json.loads(_emex("scenarios", "--json").stdout)
    assert "cea-2021" in {row["name"] for row in scenarios}
    markets = json.loads(_emex("rules", "--json").stdout)
    assert {row["name"] for row in markets} >= {"cn-cea", "generic"}
    book = json.loads(_emex("rules", "cn-cea", "--json").stdout)
    assert all(value["source"] for value in book["values"])
    assert "screen.times_in_force" in book["unverified"]


def test_rules_can_be_shown_as_of_a_day() -> None:
    def levels(day: str) -> list[object]:
        done = _emex("rules", "guangdong", "--at", day, "--json")
        return [v["value"] for v in json.loads(done.stdout)["values"] if v["key"] == "screen.click_levels"]

    assert [levels(day) for day in ("2013-12-19", "2015-06-10", "2015-06-11")] == [[1000], [1000], [1]]
    wrong = _emex("rules", "guangdong", "--at", "tomorrow")
    assert (wrong.returncode, wrong.stderr) == (2, "error: --at: got 'tomorrow', expected a day such as 2021-07-16\n")


def test_match_gives_the_same_digest_on_both_engines(tmp_path: Path) -> None:
    orders, events = tmp_path / "orders.csv", tmp_path / "events.csv"
    orders.write_text(ORDERS)
    results = []
    for engine in ("fast", "reference"):
        arguments = ("--rules", "generic", "--orders", str(orders), "--events", str(events), "--engine", engine)
        done = _emex("match", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
    assert results[0]["digest"] == results[1]["digest"]
    assert results[0]["trades"] == 1
    assert '"trade","b1","ben","buy","10.00","3","0","s1",""' in events.read_text()


def test_bad_input_is_one_line_and_status_2(tmp_path: Path) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text(ORDERS.replace("3,cancel", "3,vanish"))
    for arguments, words in (
        (("match", "--rules", "generic", "--orders", str(orders)), ("line 4", "action", "vanish")),
        (("match", "--rules", "atlantis", "--orders", str(orders)), ("atlantis", "cn-cea")),
        (("replay", "cea-1999"), ("cea-1999", "cea-2021")),
        (("rules", "atlantis"), ("atlantis", "generic")),
    ):
        done = _emex(*arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(done.stderr.strip().splitlines()) == 1
        assert all(word in done.stderr for word in words), done.stderr


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole season is for the compiled lane")
def test_replay_repeats_in_a_new_process_with_another_hash_seed(tmp_path: Path) -> None:
    digests = []
    for number, hash_seed in enumerate(("1", "2")):
        out = tmp_path / str(number)
        done = _emex("replay", "cea-2021", "--seed", "1", "--json", "--out", str(out), PYTHONHASHSEED=hash_seed)
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        digests.append(summary["digest"])
        assert {p.name for p in out.iterdir()} == {"report.html", "events.parquet", "prices.parquet", "run.json"}
    assert digests[0] == digests[1]
    assert summary["days"] == 114
    assert summary["firms"] == 2162
    assert len(summary["checks"]) == 18
    assert summary["conserved"] is True
    conservation = summary["conservation"]
    assert conservation["cash_in_fen"] == conservation["cash_in_accounts_fen"]
    assert conservation["allowances_issued_t"] == conservation["allowances_in_accounts_t"]
