"""Decimal text <-> integers, exact or an error; and the one rounding the rulebooks ask for.

Prices and money are integer fen (0.01 CNY), quantities integer tonnes, rates integer basis points. This is the
only file of `engine` in which decimal text appears. Nothing here may return a float.
"""

import re

FEN_PER_YUAN = 100
BASIS = 10_000

_DECIMAL = re.compile(r"-?\d+(\.\d+)?\Z")


def fen_from_text(text: str) -> int:
    """CNY as decimal text -> fen. Raises `ValueError` when it is not a number with at most two decimals."""
    if not _DECIMAL.match(text):
        message = f"expected a decimal number of CNY, got {text!r}"
        raise ValueError(message)
    whole, _, decimals = text.lstrip("-").partition(".")
    decimals = decimals.rstrip("0")
    if len(decimals) > 2:
        message = f"expected whole fen (two decimals of CNY), got {text!r}"
        raise ValueError(message)
    fen = int(whole) * FEN_PER_YUAN + int(decimals.ljust(2, "0"))
    return -fen if text.startswith("-") else fen


def text_from_fen(fen: int) -> str:
    """Fen -> CNY as decimal text with two decimals, as in `"42.85"`."""
    sign = "-" if fen < 0 else ""
    whole, decimals = divmod(abs(fen), FEN_PER_YUAN)
    return f"{sign}{whole}.{decimals:02d}"


def tonnes_from_text(text: str) -> int:
    """Whole tonnes as text -> int. Raises `ValueError` on anything else."""
    if not re.fullmatch(r"-?\d+", text):
        message = f"expected a whole number of tonnes, got {text!r}"
        raise ValueError(message)
    return int(text)
