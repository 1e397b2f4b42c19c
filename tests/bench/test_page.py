"""Kept results: compared, and written into the page."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.compare import compare
from bench.page import BLOCKS, HERE, write_page
from engine.errors import EmexError

MACHINE = {"taken_at": "2026-01-02T03:04:05+00:00", "processor": "A", "cores": 2, "python": "CPython 3.11.7",
           "numba": "0.68.1", "engine_digest": "abc"}  # fmt: skip


def core_row(flow: str, figure: str, ns: float) -> dict[str, Any]:
    return {"flow": flow, "figure": figure, "ns_per_message": ns, "runs": [ns - 1, ns, ns + 1], "living": 5000}


def result(ns: float) -> dict[str, Any]:
    return {
        "machine": MACHINE,
        "match": [core_row("main", "book", ns)],
        "exchange": [core_row("main", "exchange", 2 * ns) | {"ratio": 0.5}],
    }


def kept(path: Path, found: dict[str, Any]) -> Path:
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def test_a_difference_counts_where_the_runs_lie_apart(tmp_path: Path) -> None:
    a = kept(tmp_path / "a.json", result(20.0))
    for ns, apart in ((21.0, False), (24.0, True), (15.0, True)):
        found = compare(a, kept(tmp_path / "b.json", result(ns)))
        book = found["rows"][0]
        assert (book["part"], book["name"], book["a"], book["b"]) == ("match", "flow main figure book", 20.0, ns)
        assert book["ratio"] == round(ns / 20, 3)
        assert book["beyond_noise"] is apart
        assert found["machines_differ_in"] == {}


def test_what_the_machines_differ_in_is_told(tmp_path: Path) -> None:
    other = result(20.0) | {"machine": MACHINE | {"processor": "B"}}
    found = compare(kept(tmp_path / "a.json", result(20.0)), kept(tmp_path / "b.json", other))
    assert found["machines_differ_in"] == {"processor": ["A", "B"]}


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_file_that_is_no_result_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EmexError, match=r"x\.json: .* expected"):
        compare(path, path)
    with pytest.raises(EmexError, match=r"x\.json: .* expected"):
        write_page(path)


def test_the_page_takes_figures_from_the_result_and_keeps_everything_else(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra `bench`")
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- begin core -->\nold\n<!-- end core -->\nafter\n", encoding="utf-8")
    paths = write_page(kept(tmp_path / "r.json", result(20.0)), readme)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| main (5,000) | 20.0 | 50.0 | – | 40.0 | 25.0 | 0.5 |" in text
    assert paths == [str(readme), str(tmp_path / "pictures" / "core.svg")]
    assert "million messages a second" in (tmp_path / "pictures" / "core.svg").read_text(encoding="utf-8")
    first = (tmp_path / "pictures" / "core.svg").read_bytes()
    write_page(tmp_path / "r.json", readme)
    assert (tmp_path / "pictures" / "core.svg").read_bytes() == first


def test_a_page_without_the_block_is_named(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra `bench`")
    readme = tmp_path / "README.md"
    readme.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(EmexError, match="begin core"):
        write_page(kept(tmp_path / "r.json", result(20.0)), readme)


def test_the_readme_has_every_block_once() -> None:
    text = (HERE / "README.md").read_text(encoding="utf-8")
    for name, _, _ in BLOCKS:
        assert text.count(f"<!-- begin {name} -->") == text.count(f"<!-- end {name} -->") == 1, name
