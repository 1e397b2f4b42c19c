"""A recorded daily tape: a CSV file as exchanges and data vendors publish it, read into arrays.

    日期,品种,成交量,成交额,收盘价    or    date,product,volume_t,amount_cny,close    ->    Tape

Columns are found by many names, English or Chinese, in any order; others are not looked at. This file may not know
what a tape is for.
"""

import csv
import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from engine.errors import ScenarioError

FEN = 100
NAMES = {
    "date": ("date", "tradedate", "tradingdate", "tradeday", "day", "日期", "交易日期", "成交日期", "交易日"),
    "product": ("product", "symbol", "instrument", "品种", "交易品种", "产品", "品种名称", "交易产品"),
    "volume": ("volume", "totalvolume", "vol", "qty", "quantity", "成交量", "总成交量", "交易量", "成交数量"),
    "screen_volume": ("listedvolume", "screenvolume", "挂牌协议成交量", "挂牌协议交易成交量", "挂牌成交量"),
    "block_volume": ("blockvolume", "大宗协议成交量", "大宗协议交易成交量", "大宗成交量"),
    "amount": ("amount", "totalamount", "turnover", "value", "成交额", "总成交额", "成交金额", "交易额"),
    "screen_amount": ("listedamount", "screenamount", "挂牌协议成交额", "挂牌协议交易成交额", "挂牌成交额"),
    "block_amount": ("blockamount", "大宗协议成交额", "大宗协议交易成交额", "大宗成交额"),
    "vwap": ("vwap", "avg", "avgprice", "averageprice", "meanprice", "成交均价", "均价", "加权平均价"),
    "close": ("close", "closeprice", "closingprice", "收盘价", "收盘", "price", "价格", "成交价"),
}
"""What may stand above a column, by what it is; without spaces, units and what stands in brackets. The first wins."""
_UNITS = re.compile(r"[_ ](t|cny|yuan|rmb)$")
_BRACKETS = re.compile(r"[(（\[].*$")
_NOT_A_LETTER = re.compile(r"[\W_]")
_DATE = re.compile(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?(?:[ T].*)?")
_ABSENT = ("", "-", "--", "–", "—", "NaN", "nan", "null", "None", "N/A", "NA")
_ENCODINGS = ("utf-8-sig", "gb18030")
_MOST_VOLUME_T = 10**11
_MOST_PRICE_CNY = 10**6


class TapeDay(NamedTuple):
    """One recorded day."""

    date: dt.date
    screen_t: int
    """What the day traded; of a tape that keeps agreements apart, without them."""
    screen_vwap_fen: float
    """Mean price of it; NaN without a trade."""
    block_t: int
    """By agreement; 0 where the tape does not keep them apart."""
    block_vwap_fen: float
    """NaN where not recorded."""
    close_fen: float
    """NaN where not recorded."""


@dataclass(frozen=True)
class Tape:
    """Recorded days, ascending; arrays of shape (days,)."""

    path: Path
    product: str | None
    """Whose rows these are; None: all of the file."""
    apart: bool
    """Screen and agreements have columns of their own; otherwise all is in `screen_t`, agreements too."""
    date: np.ndarray
    """datetime64[D]."""
    screen_t: np.ndarray
    """int64, t."""
    screen_vwap_fen: np.ndarray
    """float, fen; NaN on days without a trade."""
    block_t: np.ndarray
    """int64, t."""
    block_vwap_fen: np.ndarray
    """float, fen; NaN where not recorded."""
    close_fen: np.ndarray
    """float, fen; NaN where not recorded."""

    @property
    def volume_t(self) -> np.ndarray:
        """All that was traded, int64, shape (days,)."""
        total: np.ndarray = self.screen_t + self.block_t
        return total

    def __len__(self) -> int:
        return len(self.date)

    def __iter__(self) -> Iterator[TapeDay]:
        columns = (self.screen_t, self.screen_vwap_fen, self.block_t, self.block_vwap_fen, self.close_fen)
        for date, *values in zip(self.date.astype(object), *(column.tolist() for column in columns), strict=True):
            yield TapeDay(date, *values)

    def between(self, first: dt.date | None, last: dt.date | None) -> "Tape":
        """The days from `first` to `last`, both included; None: no end. Raises `ScenarioError` where none is left."""
        kept = np.ones(len(self), np.bool_)
        if first is not None:
            kept &= self.date >= np.datetime64(first)
        if last is not None:
            kept &= self.date <= np.datetime64(last)
        if not kept.any():
            got = f"{self.date[0]} to {self.date[-1]}"
            raise ScenarioError(f"{self.path.name}: days: got {got}, expected some between {first} and {last}")
        arrays = (self.screen_t, self.screen_vwap_fen, self.block_t, self.block_vwap_fen, self.close_fen)
        return Tape(self.path, self.product, self.apart, self.date[kept], *(array[kept] for array in arrays))


def read_tape(
    path: Path, product: str | None = None, first: dt.date | None = None, last: dt.date | None = None
) -> Tape:
    """Read a daily CSV file; UTF-8 or GB 18030, decimal text with or without thousands separators.

    Rows of one day are added up (several deals, several products under one pattern); a row without a volume had no
    trade. A mean price is amount by volume; where there is no amount a column of means; else the close.

    Parameters
    ----------
    product : rows of this product alone, also a pattern such as "TJEA*"; None: the file must have one
    first, last : days from then to then, both included; None: no end

    Raises `ScenarioError` naming file, row, column, value and expectation.
    """
    table = _Table(path)
    rows = table.rows_of(product)
    if len(rows) == 0:
        raise ScenarioError(f"{path.name}: rows: got none, expected at least one day")
    date = table.dates(rows)
    apart = "screen_volume" in table.found
    screen = "screen_" if apart else ""
    close = table.numbers("close", rows, _MOST_PRICE_CNY) * FEN
    volume = table.tonnes(f"{screen}volume", rows)
    mean = table.means(f"{screen}amount", volume, rows)
    for other in (table.numbers("vwap", rows, _MOST_PRICE_CNY) * FEN, close):
        mean = np.where(np.isnan(mean), other, mean)
    table.require_price(mean, volume, rows)
    block = table.tonnes("block_volume", rows) if apart else np.zeros(len(rows), np.int64)
    block_mean = table.means("block_amount", block, rows)
    days, of = np.unique(date, return_inverse=True)
    traded, agreed = _together(volume, mean, of, len(days)), _together(block, block_mean, of, len(days))
    tape = Tape(path, product, apart, days, *traded, *agreed, _of_largest(close, volume, of, len(days)))
    return tape if first is None and last is None else tape.between(first, last)


def _together(volume: np.ndarray, mean_fen: np.ndarray, of: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Tonnes and their mean price by day; rows belong to the days `of`."""
    total = np.zeros(days, np.int64)
    np.add.at(total, of, volume)
    value = np.zeros(days)
    np.add.at(value, of, np.where(volume > 0, volume * mean_fen, 0))
    return total, np.where(total > 0, value / np.maximum(total, 1), np.nan)


def _of_largest(close_fen: np.ndarray, volume: np.ndarray, of: np.ndarray, days: int) -> np.ndarray:
    """Of each day the close that stands in the row that traded most."""
    largest = np.full(days, np.nan)
    known = np.flatnonzero(~np.isnan(close_fen))
    ascending = known[np.argsort(volume[known], kind="stable")]
    largest[of[ascending]] = close_fen[ascending]
    return largest


class _Table:
    """A file's cells as text, by what their column is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cells = _cells(path)
        self.found = _columns(list(self._cells))
        for role, expected in (("date", "a column of days, such as date or 日期"),
                               ("volume", "a column of tonnes, such as volume or 成交量")):  # fmt: skip
            if role not in self.found and not (role == "volume" and "screen_volume" in self.found):
                raise ScenarioError(f"{path.name}: columns: got {', '.join(self._cells)}, expected {expected}")

    def fail(self, role: str, row: int, value: object, expected: str) -> ScenarioError:
        """Names file, row, column, value and expectation; rows of data count from 1."""
        name = self.found[role]
        return ScenarioError(f"{self.path.name}: row {row + 1}: {name}: got {value!r}, expected {expected}")

    def _column(self, role: str) -> list[str] | None:
        return self._cells[self.found[role]] if role in self.found else None

    def rows_of(self, product: str | None) -> np.ndarray:
        """Numbers of the rows of one product."""
        names = self._column("product")
        if names is None:
            if product is not None:
                got = ", ".join(self._cells)
                raise ScenarioError(
                    f"{self.path.name}: columns: got {got}, expected one of products beside {product!r}"
                )
            return np.arange(len(self._cells[self.found["date"]]))
        known = sorted(set(names))
        wanted = known if product is None else [name for name in known if name == product or fnmatchcase(name, product)]
        if len(wanted) == 0 or (product is None and len(known) > 1):
            raise ScenarioError(f"{self.path.name}: product: got {product!r}, expected one of {', '.join(known)}")
        return np.flatnonzero(np.isin(np.array(names), wanted))

    def dates(self, rows: np.ndarray) -> np.ndarray:
        """datetime64[D], shape (rows,)."""
        texts, days = self._column("date"), []
        assert texts is not None, "there is a column of days"
        for row in rows.tolist():
            match = _DATE.fullmatch(texts[row])
            try:
                days.append(dt.date(*map(int, match.groups())) if match else None)
            except ValueError:
                days.append(None)
            if days[-1] is None:
                raise self.fail("date", row, texts[row], "a day such as 2021-07-16")
        return np.array(days, "datetime64[D]")

    def numbers(self, role: str, rows: np.ndarray, most: float) -> np.ndarray:
        """Float, shape (rows,), NaN where absent; from 0 to `most`."""
        texts, values = self._column(role), np.full(len(rows), np.nan)
        if texts is None:
            return values
        for place, row in enumerate(rows.tolist()):
            text = texts[row]
            if text in _ABSENT:
                continue
            try:
                values[place] = float(text.replace(",", "").replace("，", ""))
            except ValueError:
                raise self.fail(role, row, text, "a number") from None
            if not 0 <= values[place] <= most:
                raise self.fail(role, row, text, f"a number from 0 to {most:,}")
        return values

    def tonnes(self, role: str, rows: np.ndarray) -> np.ndarray:
        """int64, shape (rows,); 0 where absent."""
        tonnes: np.ndarray = np.rint(np.nan_to_num(self.numbers(role, rows, _MOST_VOLUME_T))).astype(np.int64)
        return tonnes

    def means(self, role: str, volume: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Mean price, fen, from a column of amounts, float, shape (rows,); NaN without an amount or a trade."""
        amount = self.numbers(role, rows, _MOST_VOLUME_T * _MOST_PRICE_CNY)
        return np.where((volume > 0) & (amount > 0), amount * FEN / np.maximum(volume, 1), np.nan)

    def require_price(self, mean_fen: np.ndarray, volume: np.ndarray, rows: np.ndarray) -> None:
        """Whatever traded had a price."""
        without = np.flatnonzero((volume > 0) & ~(mean_fen > 0))
        if len(without):
            priced = [role for role in ("close", "vwap", "amount", "screen_amount") if role in self.found]
            if not priced:
                got, expected = ", ".join(self._cells), "a column of prices or amounts, such as vwap, close or 成交额"
                raise ScenarioError(f"{self.path.name}: columns: got {got}, expected {expected}")
            row = int(rows[without[0]])
            raise self.fail(
                priced[0], row, self._cells[self.found[priced[0]]][row], "the price of what traded that day"
            )


def _text(path: Path) -> str:
    """The file, decoded."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read: {error.strerror}") from None
    for encoding in _ENCODINGS:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as error:
            problem = error
    raise ScenarioError(f"{path.name}: got {problem}, expected UTF-8 or GB 18030")


def _cells(path: Path) -> dict[str, list[str]]:
    """Every column as text, without the space around it, by its name."""
    text = _text(path)
    head = next(csv.reader(text.splitlines()[:1]), [])
    repeated = [name for name in head if head.count(name) > 1]
    if repeated:
        raise ScenarioError(f"{path.name}: columns: got {repeated[0]!r} twice, expected different names")
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(text.encode()),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(head, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise ScenarioError(f"{path.name}: got {str(error).strip()!r}, expected a CSV table with a head") from None
    columns = zip(table.column_names, table.columns, strict=True)
    return {name: [cell.strip() for cell in column.to_pylist()] for name, column in columns}


def _columns(names: Sequence[str]) -> dict[str, str]:
    """The file's name of each column that is known, by what it is."""
    plain = {_plain(name): name for name in reversed(names)}
    return {role: plain[known[0]] for role, options in NAMES.items() if (known := [o for o in options if o in plain])}


def _plain(name: str) -> str:
    """A column's name without unit, brackets, spaces and case."""
    bare = _UNITS.sub("", _BRACKETS.sub("", name.strip().casefold()).strip())
    return _NOT_A_LETTER.sub("", bare)
