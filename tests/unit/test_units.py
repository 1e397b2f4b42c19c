"""Decimal text and integers: exact, or an error that says what was expected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.units import fen_from_text, text_from_fen, tonnes_from_text


@pytest.mark.parametrize(
    ("text", "fen"),
    [("48.00", 4800), ("48", 4800), ("48.5", 4850), ("0.01", 1), ("0", 0), ("-1.05", -105), ("-0.05", -5),
     ("0048.10", 4810), ("48.100", 4810), ("1000000000000000.00", 10**17)],
)  # fmt: skip
def test_decimal_text_becomes_fen(text: str, fen: int) -> None:
    assert fen_from_text(text) == fen


@pytest.mark.parametrize("text", ["48.005", "0.001", "-0.019"])
def test_a_third_decimal_is_an_error_that_names_the_text_and_the_expectation(text: str) -> None:
    with pytest.raises(ValueError, match=rf"expected whole fen .*got '{text}'"):
        fen_from_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "4,8",
        "48.",
        ".5",
        "+1",
        "1e3",
        "0x10",
        "nan",
        "inf",
        " 48.00",
        "48.00\n",
        "48.00.00",
        "--1",
        "1_0",
    ],
)
def test_what_is_no_decimal_number_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="expected a decimal number of CNY"):
        fen_from_text(text)


@pytest.mark.parametrize(
    ("fen", "text"),
    [
        (4800, "48.00"),
        (5, "0.05"),
        (0, "0.00"),
        (-5, "-0.05"),
        (-105, "-1.05"),
        (10**17, "1" + "0" * 15 + ".00"),
    ],
)
def test_fen_are_written_with_two_decimals(fen: int, text: str) -> None:
    assert text_from_fen(fen) == text


@given(st.integers(-(2**62), 2**62))
def test_every_amount_survives_being_written_and_read(fen: int) -> None:
    assert fen_from_text(text_from_fen(fen)) == fen


@pytest.mark.parametrize(("text", "tonnes"), [("0", 0), ("99999", 99_999), ("-7", -7), ("007", 7)])
def test_text_becomes_tonnes(text: str, tonnes: int) -> None:
    assert tonnes_from_text(text) == tonnes


@pytest.mark.parametrize("text", ["", "1.5", "1,000", "+1", "1e3", " 1", "t"])
def test_what_is_no_whole_number_of_tonnes_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="expected a whole number of tonnes"):
        tonnes_from_text(text)
