"""Pictures of bench/README.md: each from the rows of one part, as an SVG that says the same every time. No measuring.

Ours is always the same colour, the other program's grey. Axes carry units; a logarithm is said.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams |= {
    "svg.hashsalt": "emex", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": "#e6e6e6", "axes.axisbelow": True,
}  # fmt: skip

from matplotlib import pyplot as plt  # noqa: E402  (the drawing library reads its settings first)
from matplotlib.figure import Figure  # noqa: E402

_OURS, _FUNDED, _OTHER = "#0b6e4f", "#7fb685", "#9a9a9a"
_SATURATED = "#c0392b"


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def _core(found: dict[str, Any], path: Path) -> None:
    """Millions a second by flow: ours, and the other program's."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True)
    for axis, part, title in zip(axes, ("match", "exchange"), ("matching alone", "funds, T+1 and fees"), strict=True):
        rows = found[part]
        places = range(len(rows))
        ours = [1000 / row["ns_per_message"] for row in rows]
        axis.bar([at - 0.2 for at in places], ours, 0.4, color=_OURS, label="emex, every event written")
        if all("against_ns" in row for row in rows):
            theirs = [1000 / row["against_ns"] for row in rows]
            axis.bar([at + 0.2 for at in places], theirs, 0.4, color=_OTHER, label="C++ loop, trades only")
        axis.set_xticks(list(places), [row["flow"] for row in rows])
        axis.set_title(title)
    axes[0].set_ylabel("million messages a second")
    axes[1].legend(frameon=False)
    _save(figure, path)


_AXES = {"living": "living orders", "levels": "price levels in reach", "accounts": "accounts",
         "instruments": "instruments", "batch": "commands a call"}  # fmt: skip


def _scale(found: dict[str, Any], path: Path) -> None:
    """Nanoseconds a message against each quantity."""
    figure, axes = plt.subplots(1, len(_AXES), figsize=(14, 2.8), sharey=True)
    for axis, (name, label) in zip(axes, _AXES.items(), strict=True):
        for part, colour in (("book", _OURS), ("exchange", _FUNDED)):
            rows = [row for row in found["scale"]["points"] if (row["axis"], row["figure"]) == (name, part)]
            axis.plot(
                [row["value"] for row in rows], [row["ns_per_message"] for row in rows], "o-", color=colour, label=part
            )
            other = [(row["value"], row["against_ns"]) for row in rows if row["against_ns"]]
            if other:
                style = "-" if part == "exchange" else "--"
                axis.plot(*zip(*other, strict=True), style, color=_OTHER, label=f"C++ {part}")
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel(label)
    axes[0].set_ylabel("ns a message (log)")
    axes[0].legend(frameon=False)
    _save(figure, path)


def _rush(found: dict[str, Any], path: Path) -> None:
    """Percentiles of the delay against the rate offered; a saturated rate is red."""
    rows = [row for row in found["rush"] if "offered_per_second" in row]
    figure, axis = plt.subplots(figsize=(7, 3))
    rates = [row["offered_per_second"] / 1e6 for row in rows]
    for key, label, alpha in (("p50_us", "p50", 1.0), ("p99_us", "p99", 0.75), ("p999_us", "p99.9", 0.5),
                              ("p9999_us", "p99.99", 0.3)):  # fmt: skip
        axis.plot(rates, [row[key] for row in rows], "o-", color=_OURS, alpha=alpha, label=label)
    for row in rows:
        if row["saturated"]:
            axis.axvline(row["offered_per_second"] / 1e6, color=_SATURATED, linestyle=":", label="saturated")
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axis.set_xlabel("million orders offered a second (log)")
    axis.set_ylabel("µs from arrival to answer (log)")
    axis.legend(frameon=False)
    _save(figure, path)


def _bars(names: list[str], values: list[float], label: str, colours: list[str], path: Path) -> None:
    figure, axis = plt.subplots(figsize=(8, 0.3 + 0.24 * len(names)))
    axis.barh(names[::-1], values[::-1], color=colours[::-1])
    axis.set_xscale("log")
    axis.set_xlabel(label)
    axis.grid(visible=False, axis="y")
    _save(figure, path)


def _kernels(found: dict[str, Any], path: Path) -> None:
    """Nanoseconds a message by way of trading."""
    rows = found["kernels"]
    _bars([row["name"] for row in rows], [row["ns_per_message"] for row in rows], "ns a message (log)",
          [_OURS] * len(rows), path)  # fmt: skip


def _peers(found: dict[str, Any], path: Path) -> None:
    """Millions a second of those whose trades were equal."""
    rows = sorted((row for row in found["peers"] if row["ns_per_message"]), key=lambda row: row["ns_per_message"])
    colours = [_OURS if row["name"].startswith("emex") else _OTHER for row in rows]
    _bars([row["name"] for row in rows], [1000 / row["ns_per_message"] for row in rows],
          "million messages a second (log), trades found equal", colours, path)  # fmt: skip


PICTURES: dict[str, Callable[[dict[str, Any], Path], None]] = {
    "core": _core, "scale": _scale, "rush": _rush, "kernels": _kernels, "peers": _peers,
}  # fmt: skip
"""By block of the page."""
