"""What a replay of the journal rebuilds: the engine, what every principal has asked, and what it has been told.

    applied = replica.apply(records)     RECORD rows -> events, and the reports they make, numbered by principal

The venue that runs, its recovery after a crash and `emex verify` all come through `apply`, and nothing else changes a
replica. It knows no clock, no session and no file.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from engine.codes import NONE
from engine.exchange import Exchange
from engine.rules.compiler import CompiledRules
from gateway.desk.kept import Kept
from gateway.desk.reports import write_reports
from gateway.wire.records import REPORT

_WORDS = REPORT.itemsize // 8
"""A report is kept as so many integers; the first is its number."""
_SEQ, _CONTENT, _COMMAND_SEQ, _OUTCOME = range(4)
"""Columns of a kept request; its outcome, a report, fills the rest."""


class Applied(NamedTuple):
    """What came of a batch."""

    events: np.ndarray
    reports: dict[int, np.ndarray]
    """REPORT rows by principal, in order of their numbers."""


class Answered(NamedTuple):
    """A request that was processed."""

    content: int
    """`records.content_hash` of it."""
    outcome: np.ndarray
    """The one REPORT row that answered it, shape (1,)."""


@dataclass
class Told:
    """One principal's side of the record."""

    requests: Kept = field(default_factory=lambda: Kept(np.zeros((0, _OUTCOME + _WORDS), np.int64)))
    reports: Kept = field(default_factory=lambda: Kept(np.zeros((0, _WORDS), np.int64)))
    last_seq: int = 0
    """Number of its last request."""
    next_report: int = 1

    def answered(self, seq: int) -> Answered | None:
        """What came of request `seq`; None when there was none, or too long ago."""
        row = self.requests.find(seq)
        if row is None:
            return None
        return Answered(int(row[_CONTENT]) % 2**64, row[_OUTCOME:].view(REPORT))

    def order_ids(self, seqs: np.ndarray) -> np.ndarray:
        """The order that each request entered: the number of its command, NONE where there is none (any more)."""
        rows = self.requests.rows()
        if not len(rows):
            return np.full(len(seqs), NONE)
        at = np.minimum(rows[:, _SEQ].searchsorted(seqs), len(rows) - 1)
        return np.where(rows[at, _SEQ] == seqs, rows[at, _COMMAND_SEQ], NONE)

    def reports_since(self, number: int) -> np.ndarray:
        """REPORT rows from that number on, as far as they are kept, shape (n,)."""
        return self.reports.since(number).reshape(-1).view(REPORT)


class Frozen(NamedTuple):
    """A replica's state at one moment."""

    exchange: dict[str, np.ndarray]
    known: np.ndarray
    counts: np.ndarray
    """A row for each principal: its number, its last request, its next report."""
    requests: list[np.ndarray]
    reports: list[np.ndarray]
    """Kept rows of each principal, in the order of `counts`."""
    last_ns: int

    def tables(self) -> dict[str, np.ndarray]:
        """Everything as named arrays; slow, and safe in another thread."""
        kept = [(len(asked), len(heard)) for asked, heard in zip(self.requests, self.reports, strict=True)]
        tables = {f"exchange.{name}": table for name, table in self.exchange.items()}
        tables["known"] = self.known
        tables["told"] = np.concatenate([self.counts, np.array(kept, np.int64).reshape(-1, 2)], axis=1)
        tables["requests"] = np.concatenate([np.zeros((0, _OUTCOME + _WORDS), np.int64), *self.requests])
        tables["reports"] = np.concatenate([np.zeros((0, _WORDS), np.int64), *self.reports])
        tables["last_ns"] = np.array([self.last_ns])
        return tables


class Replica:
    """Engine, requests and reports of one venue."""

    def __init__(self, rules: CompiledRules) -> None:
        self.exchange = Exchange(rules)
        self.told: dict[int, Told] = {}
        self.last_ns = 0
        """Time of the last record."""
        self._known = np.zeros(0, bool)
        """By account number: who is told what happens to it."""
        self._make_room(1024)

    def principal(self, number: int) -> Told:
        """The record of one principal; empty when it has never asked or been told anything."""
        told = self.told.get(number)
        if told is None:
            told = self.told[number] = Told()
        return told

    def apply(self, records: np.ndarray) -> Applied:
        """Carry out RECORD rows, shape (n,) with n > 0, in order; they must be journaled already."""
        first = self.exchange.command_seq + 1
        self.last_ns = int(records["command"]["time_ns"][-1])
        events = self.exchange.submit(np.ascontiguousarray(records["command"]))
        if 3 * len(events) > len(self._rows):
            self._make_room(3 * len(events))
        if self.exchange.account_rows > len(self._known):
            self._known = np.concatenate([self._known, np.zeros(self.exchange.account_rows - len(self._known), bool)])
        count = write_reports(events, records, first, self._known, self._rows, self._told, self._asked)
        order = self._told[:count].argsort(kind="stable")
        told, rows, asked = self._told[order], self._words[order], self._asked[order]
        cuts = [0, *((told[1:] != told[:-1]).nonzero()[0] + 1).tolist(), count] if count else []
        reports = {}
        for begin, end in pairwise(cuts):
            number = int(told[begin])
            reports[number] = self._keep(number, rows[begin:end], asked[begin:end], records, first)
        return Applied(events, reports)

    def _make_room(self, count: int) -> None:
        """Room for the reports of the largest batch so far."""
        self._rows = np.zeros(2 * count, REPORT)
        self._words = self._rows.view(np.int64).reshape(-1, _WORDS)
        self._told = np.zeros(2 * count, np.int64)
        self._asked = np.zeros(2 * count, np.int64)

    def _keep(self, number: int, rows: np.ndarray, asked: np.ndarray, records: np.ndarray, first: int) -> np.ndarray:
        """Number one principal's reports, and remember them and the outcomes among them."""
        told = self.principal(number)
        rows[:, 0] = np.arange(told.next_report, told.next_report + len(rows))
        told.next_report += len(rows)
        told.reports.append(rows)
        answers = asked != NONE
        if answers.any():
            at = asked[answers]
            requests = np.empty((len(at), _OUTCOME + _WORDS), np.int64)
            requests[:, _SEQ] = records["seq"][at]
            requests[:, _CONTENT] = records["content"][at].view(np.int64)
            requests[:, _COMMAND_SEQ] = first + at
            requests[:, _OUTCOME:] = rows[answers]
            told.requests.append(requests)
            told.last_seq = int(requests[-1, _SEQ])
        return rows.reshape(-1).view(REPORT)

    def freeze(self) -> "Frozen":
        """The state of this moment, quickly: kept rows never change, so that views of them do."""
        numbers = sorted(self.told)
        told = [self.told[number] for number in numbers]
        counts = [(number, one.last_seq, one.next_report) for number, one in zip(numbers, told, strict=True)]
        return Frozen(
            self.exchange.save(), self._known.copy(), np.array(counts, np.int64).reshape(-1, 3),
            [one.requests.last() for one in told], [one.reports.last() for one in told], self.last_ns,
        )  # fmt: skip

    def save(self) -> dict[str, np.ndarray]:
        """Copies of everything, by name: a cache for the same engine sources, see `restore`."""
        return self.freeze().tables()

    @classmethod
    def restore(cls, rules: CompiledRules, tables: dict[str, Any]) -> "Replica":
        """The replica that `save` was called on."""
        replica = cls(rules)
        prefix = "exchange."
        engine = {name.removeprefix(prefix): table for name, table in tables.items() if name.startswith(prefix)}
        replica.exchange = Exchange.restore(rules, engine)
        replica._known = tables["known"]
        replica.last_ns = int(tables["last_ns"][0])
        requests = reports = 0
        for number, last_seq, next_report, asked, told in tables["told"].tolist():
            replica.told[number] = Told(
                Kept(tables["requests"][requests : requests + asked]),
                Kept(tables["reports"][reports : reports + told]),
                last_seq,
                next_report,
            )
            requests, reports = requests + asked, reports + told
        return replica
