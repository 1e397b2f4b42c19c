"""A kept result of `emex bench` becomes tables and pictures of bench/README.md. No figure is typed there by hand.

    <!-- begin core -->    what stands between is written anew, everything else stays as it is    <!-- end core -->

Pictures (SVG, in bench/pictures) come from `pictures.py`. A part that the result lacks keeps its old block, so that one
part can be measured again alone.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.pictures import PICTURES
from engine.errors import EmexError

HERE = Path(__file__).parent
Rows = list[dict[str, Any]]


def write_page(results: Path, readme: Path = HERE / "README.md") -> list[str]:
    """Blocks of `readme` and pictures beside it from a file of results; the paths written.

    Raises `EmexError` on a file that is no result, or a README without the block of a part; `OSError`.
    """
    try:
        found = json.loads(results.read_text(encoding="utf-8"))
        machine = _machine(found["machine"])
    except (ValueError, KeyError, TypeError) as error:
        raise EmexError(f"{results}: {error!r}, expected JSON of `emex bench --out`") from None
    text = readme.read_text(encoding="utf-8")
    written = [str(readme)]
    folder = readme.parent / "pictures"
    for name, needs, table in BLOCKS:
        if not all(need in found for need in needs):
            continue
        lines = [machine, "", *table(found)]
        if name in PICTURES:
            folder.mkdir(exist_ok=True)
            PICTURES[name](found, folder / f"{name}.svg")
            written.append(str(folder / f"{name}.svg"))
            lines += ["", f"![{name}](pictures/{name}.svg)"]
        text = _replaced(text, name, "\n".join(lines), readme)
    readme.write_text(text, encoding="utf-8")
    return written


def _replaced(text: str, name: str, block: str, readme: Path) -> str:
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(text):
        raise EmexError(f"{readme}: got no block {begin} … {end}, expected one for the part")
    return pattern.sub(lambda _: f"{begin}\n{block}\n{end}", text)


def _machine(card: dict[str, Any]) -> str:
    day = card["taken_at"][:10]
    made = f"Python {card['python'].split()[-1]}, Numba {card['numba']}, engine `{card['engine_digest']}`"
    return f"*{day}, {card['processor']}, {card['cores']} cores, {made}.*"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Markdown; the first column is text, the others stand to the right."""
    lines = [f"| {' | '.join(heads)} |", "|" + "|".join(["---", *["---:"] * (len(heads) - 1)]) + "|"]
    return lines + [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]


def _ns(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _millions(ns: float) -> str:
    return f"{1000 / ns:,.1f}" if ns < 1000 else f"{1000 / ns:,.3f}"


def _core(found: dict[str, Any]) -> list[str]:
    exchange = {row["flow"]: row for row in found["exchange"]}
    rows = []
    for row in found["match"]:
        both = [row, exchange[row["flow"]]]
        cells = [f"{row['flow']} ({row['living']:,})"]
        for one in both:
            cells += [_ns(one["ns_per_message"]), _millions(one["ns_per_message"]), one.get("ratio", "–")]
        rows.append(cells)
    heads = ["flow (living at the end)", "book: ns a message", "million a second", "of the other program",
             "exchange: ns", "million a second", "of the other program"]  # fmt: skip
    return _table(heads, rows)


def _latency(found: dict[str, Any]) -> list[str]:
    heads = ["one order a call, µs", *(f"{kind} {p}" for kind in ("new", "cancel") for p in ("p50", "p99", "p99.9"))]
    keys = [f"{kind}_{p}_us" for kind in ("new", "cancel") for p in ("p50", "p99", "p999")]
    return _table(heads, [[row["figure"], *(row[key] for key in keys)] for row in found["latency"]])


def _gateway(found: dict[str, Any]) -> list[str]:
    heads = ["load", "seconds", "orders a second", "answer p50, ms", "p99", "p99.9", "the disk's share"]
    return _table(heads, [
        [row["name"], round(row["seconds"]), f"{row['orders_per_second']:,.0f}", *row["ack_ms"].values(),
         f"{100 * row['commit_share']:.0f} %"] for row in found["gateway"]
    ])  # fmt: skip


def _replay(found: dict[str, Any]) -> list[str]:
    heads = ["season", "orders", "trades", "seconds", "orders a second"]
    return _table(heads, [
        [row["scenario"], f"{row['orders']:,}", f"{row['trades']:,}", row["seconds"], f"{row['orders_per_second']:,}"]
        for row in found["replay"]
    ])  # fmt: skip


def _kernels(found: dict[str, Any]) -> list[str]:
    heads = ["way of trading", "rulebook", "ns a message", "of continuous", "events a message", "a message is"]
    return _table(heads, [
        [row["name"], row["rulebook"], _ns(row["ns_per_message"]), row["ratio_to_continuous"],
         row["events_per_message"], row["note"]] for row in found["kernels"]
    ])  # fmt: skip


def _scale(found: dict[str, Any]) -> list[str]:
    points = {(row["axis"], row["value"], row["figure"]): row for row in found["scale"]["points"]}
    rows = []
    for axis, value in dict.fromkeys((axis, value) for axis, value, _ in points):
        book, exchange = points[axis, value, "book"], points[axis, value, "exchange"]
        rows.append([
            axis, f"{value:,}", f"{book['living_at_end']:,}", f"{book['levels_at_end']:,}",
            *(_ns(row[key]) for row in (book, exchange) for key in ("ns_per_message", "against_ns")),
        ])  # fmt: skip
    lines = _table(["moved", "to", "living", "levels", "book, ns", "other", "exchange, ns", "other"], rows)
    heads = ["growth", "figure", "from", "to", "times dearer", "the other program", "ratio of the two"]
    growths = [
        [row["axis"], row["figure"], f"{row['from']:,}", f"{row['to']:,}", row["growth"],
         row.get("against_growth", "–"), row.get("ratio", "–")] for row in found["scale"]["growth"]
    ]  # fmt: skip
    bytes_ = [[key.replace("_", " "), value] for key, value in found["scale"]["footprint"].items()]
    return [*lines, "", *_table(heads, growths), "", *_table(["memory", "bytes"], bytes_)]


def _rush(found: dict[str, Any]) -> list[str]:
    whole = [row for row in found["rush"] if "offered_per_second" not in row]
    rates = [row for row in found["rush"] if "offered_per_second" in row]
    lines: list[str] = []
    for row in whole:
        refused = row.get("refused") or {}
        lines += _table(["the day as fast as it goes", ""], [
            ["orders", f"{row['messages']:,}"], ["firms", f"{row['firms']:,}"], ["seconds", row["seconds"]],
            ["orders a second", f"{row['messages_per_second']:,.0f}"],
            ["events a second", f"{row['events_per_second']:,.0f}"], ["living at the end", f"{row['living_at_end']:,}"],
            ["refused", ", ".join(f"{reason} {count:,}" for reason, count in refused.items()) or "none"],
        ])  # fmt: skip
        lines.append("")
    heads = ["offered a second", "answered a second", "p50, µs", "p90", "p99", "p99.9", "p99.99", "most", "saturated"]
    keys = ("p50_us", "p90_us", "p99_us", "p999_us", "p9999_us", "max_us")
    return lines + _table(heads, [
        [f"{row['offered_per_second']:,}", f"{row['answered_per_second']:,.0f}", *(_ns(row[key]) for key in keys),
         "yes" if row["saturated"] else "no"] for row in rates
    ])  # fmt: skip


def _peers(found: dict[str, Any]) -> list[str]:
    heads = ["engine", "language", "status", "messages", "million a second", "times emex's time", "note"]
    return _table(heads, [
        [f"{row['name']} {row['version'] or ''}".strip(), row["language"], row["status"], f"{row['messages']:,}",
         "–" if row["ns_per_message"] is None else _millions(row["ns_per_message"]), _ns(row["ratio"]), row["note"]]
        for row in found["peers"]
    ])  # fmt: skip


BLOCKS: list[tuple[str, tuple[str, ...], Callable[[dict[str, Any]], list[str]]]] = [
    ("core", ("match", "exchange"), _core),
    ("latency", ("latency",), _latency),
    ("gateway", ("gateway",), _gateway),
    ("replay", ("replay",), _replay),
    ("kernels", ("kernels",), _kernels),
    ("scale", ("scale",), _scale),
    ("rush", ("rush",), _rush),
    ("peers", ("peers",), _peers),
]
"""Name of the block, parts that it needs, and its lines."""
