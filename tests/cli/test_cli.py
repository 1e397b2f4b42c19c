"""The command as a user types it: streams, exit status, JSON, errors of one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from rich.cells import cell_len

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


@pytest.mark.parametrize("verb", ["replay", "fit", "scenarios", "rules", "match", "doctor"])
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


def test_rules_are_said_in_words_within_80_columns() -> None:
    done = _emex("rules", "guangdong", COLUMNS="80")
    assert done.returncode == 0
    assert max(cell_len(line.rstrip()) for line in done.stdout.splitlines()) <= 80
    chapters = ["Products", "Hours", "Screen", "Blocks", "Offers", "Auctions", "Close", "Access", "Fees", "Settlement"]
    starts = [line.split()[0] for line in done.stdout.splitlines() if line[:1].isupper() and line.split()[0].isalpha()]
    assert starts == [*chapters, "Changes", "Sources"]
    assert "from 2015-06-11" in done.stdout
    assert "[P118 unverified, ours unverified]" in done.stdout
    as_of = _emex("rules", "guangdong", "--at", "2015-06-10").stdout
    assert "A taker may click any listing at any price. [P103]\n  可点选任一价位上的任一挂牌。" in as_of
    assert "Changes" not in as_of
    assert "screen.click_levels" in _emex("rules", "guangdong", "--table").stdout


def test_rules_as_json_give_each_sentence_with_its_sources() -> None:
    said = json.loads(_emex("rules", "hubei", "--at", "2016-07-18", "--json").stdout)["sentences"]
    (band,) = [row for row in said if "screen.band_up_bp" in row["keys"]]
    assert band["en"] == "Prices may fall by 1 % and rise by 10 % from the previous close."
    assert band["zh"] == "涨跌幅限制：较上一交易日收盘价，跌幅1%、涨幅10%。"
    assert band["keys"] == ["screen.band_down_bp", "screen.band_up_bp"]
    assert (band["source_ids"], band["unverified_ids"], band["verified"]) == (["DATA", "P51"], ["DATA"], False)


def test_rules_diff_says_what_differs() -> None:
    days = ("guangdong@2015-06-10", "guangdong@2015-06-11")
    result = json.loads(_emex("rules", "diff", *days, "--json").stdout)
    assert (result["a"], result["b"]) == days
    assert [row["keys"] for row in result["differences"]] == [
        ["screen.click_levels", "screen.click_choice"],
        ["close.trades"],
    ]
    assert result["differences"][0]["b"] == {
        "en": "A taker may click only the oldest listing at the best price.",
        "zh": "只能点选最优价位上最早的挂牌。",
    }
    assert "guangdong on two days, 2015-06-10 and 2015-06-11" in _emex("rules", "diff", *days).stdout
    same = _emex("rules", "diff", "hubei", "engine/rules/markets/hubei.toml")
    assert (same.returncode, same.stdout.splitlines()[-1]) == (0, "Nothing differs. 没有差别。")
    other = json.loads(_emex("rules", "diff", "generic", "cn-cea", "--json").stdout)["differences"]
    assert [row["a"] for row in other if "screen.click_levels" in row["keys"]] == [None]


def test_rules_side_by_side_are_written_as_a_page(tmp_path: Path) -> None:
    page = tmp_path / "rules.html"
    result = json.loads(_emex("rules", "--page", str(page), "--json").stdout)
    assert (result["page"], "hubei" in result["markets"]) == (str(page), True)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert _emex("rules", "--page", str(page)).stdout.startswith(f"page: {page} (")


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
        (("rules", "hubei", "tianjin"), ("hubei tianjin", "one MARKET, or diff A B")),
        (("rules", "diff", "hubei"), ("diff hubei", "one MARKET, or diff A B")),
        (("rules", "diff", "hubei", "hubei@2016-13-01"), ("2016-13-01", "a day such as 2021-07-16")),
        (("rules", "diff", "hubei", "hubei", "--at", "2016-07-18"), ("--at", "expected MARKET")),
        (("rules", "--table"), ("--table", "expected MARKET")),
        (("rules", "hubei", "--page", str(tmp_path / "x.html")), ("--page", "hubei", "all markets")),
        (("rules", "--page", str(tmp_path / "absent" / "x.html")), ("absent", "No such file")),
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
    assert len(summary["checks"]) == 22  # 18 of the season, and four of all seasons that its own do not replace
    assert summary["conserved"] is True
    cash, units = summary["conservation"]["cash"], summary["conservation"]["CEA"]
    assert cash["brought_in_fen"] == cash["in_accounts_fen"] > 0
    gone = units["surrendered_t"] + units["cancelled_t"] + units["unsold_t"]
    assert units["issued_t"] == units["held_t"] + gone > 0


def test_a_tape_is_replayed_as_a_load_and_says_so(tmp_path: Path) -> None:
    tape = tmp_path / "daily.csv"
    tape.write_text("日期,成交量(吨),成交均价\n2021-11-01,1000,43.00\n2021-11-02,2000,43.50\n", encoding="utf-8")
    done = _emex("replay", "--tape", str(tape), "--rules", "cn-cea", "--scale", "3", "--json", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert "not a simulation" in summary["kind"]
    assert summary["days_followed"] == 2
    assert summary["volume_t"] == 9000
    assert "checks" not in summary


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("SCENARIO", "--tape")),
        (("cea-2021", "--scale", "2"), ("--scale", "--tape")),
        (("cea-2021", "--rules", "hubei"), ("--rules", "--tape")),
    ],
)
def test_a_replay_needs_either_a_season_or_a_tape(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    done = _emex("replay", *arguments)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
