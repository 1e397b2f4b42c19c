"""What differs between two kept results of `emex bench`, and whether it is more than noise. Measures nothing.

Two rates of two minutes say little on a shared machine: a difference counts only where the runs of one side all lie
beyond those of the other.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.errors import EmexError

_NAMES = ("flow", "figure", "name", "axis", "value", "scenario", "accounts", "batch")
"""What tells rows of a part apart."""
_FIGURES = ("ns_per_message", "seconds", "orders_per_second")
"""What is compared: the first that a row has."""


def compare(a: Path, b: Path) -> dict[str, Any]:
    """Rows of part, name, figure, a, b, ratio b/a, beyond_noise; and what differs between the two machines.

    Raises `EmexError` on a file that is no result, `OSError`.
    """
    first, second = _read(a), _read(b)
    known = dict(_rows(first))
    rows = []
    for (part, name), row in _rows(second):
        before = known.get((part, name))
        figure = next((key for key in _FIGURES if key in row), None)
        if before is None or figure is None or not before.get(figure) or not row[figure]:
            continue
        rows.append({
            "part": part, "name": name, "figure": figure, "a": before[figure], "b": row[figure],
            "ratio": round(row[figure] / before[figure], 3),
            "beyond_noise": _apart(before.get("runs"), row.get("runs")),
        })  # fmt: skip
    there, here = first["machine"], second["machine"]
    differs = {key: [there.get(key), value] for key, value in here.items() if there.get(key) != value}
    return {"rows": rows, "machines_differ_in": differs}


def _read(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EmexError(f"{path}: {error}, expected JSON of `emex bench --out`") from None
    if not isinstance(result, dict) or "machine" not in result:
        raise EmexError(f"{path}: got no key machine, expected a result of `emex bench --out`")
    return result


def _rows(result: dict[str, Any]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """Rows that can be compared, by part and name."""
    for part, found in result.items():
        rows = found["points"] if isinstance(found, dict) and "points" in found else found
        if isinstance(rows, list):
            for row in rows:
                name = " ".join(f"{key} {row[key]}" for key in _NAMES if key in row)
                yield (part, name), row


def _apart(a: list[float] | None, b: list[float] | None) -> bool | None:
    """Whether no run of one side lies among those of the other; None where runs are not told."""
    if not a or not b:
        return None
    return max(a) < min(b) or max(b) < min(a)
