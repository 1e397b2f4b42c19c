"""What the public sees of the venue: a book for each instrument, its changes numbered, trades and announcements.

    snapshot    everything shown now, retained, with the number of the last change it contains
    update      what is different since the update before: entries, trades, news

Updates go out at most every `INTERVAL_NS` (a tenth of a second): changes that cancel each other in between are never
sent, trades and news always are. Everything comes from events, as in `engine.feed`; the shown book is compared with the
one shown before, so a snapshot is by construction the sum of the updates.
"""

from collections.abc import Iterator

import numpy as np

from engine.codes import NONE, EventKind, Role, Side, TradingMode
from engine.exchange import Exchange
from engine.feed.depth import DepthFeed
from engine.records import EVENT
from gateway.desk.session import Publish
from gateway.wire import codec, topics
from gateway.wire import messages as m

INTERVAL_NS = 100_000_000
LEVELS = 10
"""Price levels of each side that are shown."""
CLICK_LEVELS = 5
"""Levels whose single listings are shown, where a taker may name one."""
LISTINGS = 50
"""At most so many of each side, best and oldest first."""

_NEWS = np.zeros(256, bool)
_NEWS[[EventKind.ANNOUNCED, EventKind.STAGE_ENDED, EventKind.SETTLED, EventKind.INSTRUMENT_HALTED,
       EventKind.LARGE_HOLDER, EventKind.INDICATIVE, EventKind.DAY_CLOSED, EventKind.DAY_OPENED]] = True  # fmt: skip
_NEWS_FIELDS = ("kind", "order_id", "side", "mode", "price_fen", "qty", "leaves_qty", "low_price_fen",
                "high_price_fen", "flags", "account")  # fmt: skip
_TRADE_FIELDS = ("seq", "time_ns", "mode", "side", "price_fen", "qty")

Entries = dict[tuple[int, int, int, int], int]
"""(mode, order_id or 0, side, price_fen) -> tonnes."""


class _Book:
    """One instrument as it is shown."""

    def __init__(self, instrument: int, living: np.ndarray) -> None:
        self.instrument = instrument
        self.depth = DepthFeed(instrument)
        self.offers: dict[int, list[int]] = {}
        """Standing offers and auctions: order_id -> [mode, side, price_fen, tonnes]."""
        self.shown: Entries = {}
        self.md_seq = 0
        self.trades: list[list[int]] = []
        self.news: list[list[int]] = []
        self.changed = True
        """The first look shows what stands after a recovery."""
        ids, _, _, sides, roles, modes, prices, leaves = living[living[:, 2] == instrument, :8].T
        resting = roles == Role.ORDER
        self.depth.seed(ids[resting], sides[resting], prices[resting], leaves[resting])
        for at in np.flatnonzero((roles == Role.OFFER) | (roles == Role.AUCTION)):
            self.offers[int(ids[at])] = [int(column[at]) for column in (modes, sides, prices, leaves)]


class MarketData:
    """The public side of one venue."""

    def __init__(self, exchange: Exchange, epoch: int) -> None:
        self._exchange = exchange
        self._epoch = epoch
        living = exchange.living()
        self._books = [_Book(at, living) for at in range(len(exchange.symbols))]
        self._retained: dict[str, Publish] = {}
        self._events: list[np.ndarray] = []
        self._due_ns = 0
        self._status = (NONE, NONE)

    def update(self, events: np.ndarray) -> None:
        """Take in EVENT rows; they are shown when the next update is due."""
        self._events.append(events)

    def retained(self) -> list[Publish]:
        """What a new reader gets first."""
        return list(self._retained.values())

    @property
    def waiting(self) -> bool:
        """Whether an update is to come."""
        return bool(self._events)

    def due(self, now_ns: int, time_ns: int) -> Iterator[Publish]:
        """Updates that are to be sent now, at the venue's time `time_ns`."""
        early = 0 < self._due_ns - now_ns <= INTERVAL_NS  # farther off: the clock was set back
        if early or not (self._events or not self._retained):
            return
        self._due_ns = now_ns + INTERVAL_NS
        events = np.frombuffer(b"".join(part.tobytes() for part in self._events), EVENT)
        self._events = []
        phase, date = self._exchange.today()
        if (phase, date) != self._status:
            self._status = phase, date
            status = codec.encode_one(m.TradingSessionStatus(time_ns, phase, date, self._epoch))
            yield self._retain(Publish(topics.STATUS, status, retain=True))
        for book in self._books:
            mine = events[events["instrument"] == book.instrument]
            if len(mine):
                self._take_in(book, mine)
            if book.changed:
                yield from self._show(book, time_ns)

    def _take_in(self, book: _Book, events: np.ndarray) -> None:
        book.depth.update(events)
        book.changed = True
        kinds = events["kind"]
        trades = events[kinds == EventKind.TRADE]
        if len(trades):
            book.trades += trades[list(_TRADE_FIELDS)].tolist()
        news = events[_NEWS[kinds]]
        book.news += news[list(_NEWS_FIELDS)].tolist()
        for event in events[np.isin(events["mode"], (TradingMode.OFFER, TradingMode.AUCTION))]:
            _follow_offer(book.offers, event)

    def _show(self, book: _Book, time_ns: int) -> Iterator[Publish]:
        shown = self._entries(book)
        changes = [[*key, qty] for key, qty in shown.items() if book.shown.get(key) != qty]
        changes += [[*key, 0] for key in book.shown if key not in shown]
        book.md_seq += 1
        book.shown, book.changed = shown, False
        symbol = self._exchange.symbols[book.instrument]
        update = m.MarketDataIncremental(book.md_seq, book.instrument, time_ns, changes, book.trades, book.news)
        book.trades, book.news = [], []
        snapshot = m.MarketDataSnapshot(
            book.md_seq, book.instrument, time_ns, [[*key, qty] for key, qty in shown.items()],
            *self._exchange.day(book.instrument),
        )  # fmt: skip
        yield Publish(topics.update(symbol), codec.encode_one(update))
        yield self._retain(Publish(topics.snapshot(symbol), codec.encode_one(snapshot), retain=True))

    def _entries(self, book: _Book) -> Entries:
        """What is shown of one book now."""
        entries: Entries = {}
        mode = self._exchange.screen(book.instrument)
        for side in (Side.BUY, Side.SELL):
            for price, qty in book.depth.levels(side, LEVELS):
                entries[mode, 0, side, price] = qty
            if mode == TradingMode.LISTED:
                for order_id, price, qty in book.depth.listings(side, CLICK_LEVELS, LISTINGS):
                    entries[TradingMode.LISTED, order_id, side, price] = qty
        for order_id, (kind, of_side, price, qty) in book.offers.items():
            entries[kind, order_id, of_side, price] = qty
        return entries

    def _retain(self, message: Publish) -> Publish:
        self._retained[message.topic] = message
        return message


def _follow_offer(offers: dict[int, list[int]], event: np.void) -> None:
    """Keep `offers` what still stands of fixed-price offers and announced auctions."""
    kind, order_id = int(event["kind"]), int(event["order_id"])
    mode = int(event["mode"])
    if kind == EventKind.ANNOUNCED or (
        kind == EventKind.ACCEPTED and mode == TradingMode.OFFER and event["contra_id"] == NONE
    ):
        offers[order_id] = [mode, int(event["side"]), int(event["price_fen"]), int(event["qty"])]
    elif kind == EventKind.TRADE and mode == TradingMode.OFFER:
        _reduce(offers, int(event["contra_id"]), int(event["contra_leaves_qty"]))
    elif kind == EventKind.STAGE_ENDED:
        _reduce(offers, order_id, int(event["qty"]))
    elif kind in (EventKind.CANCELED, EventKind.EXPIRED, EventKind.SETTLED):
        offers.pop(order_id, None)


def _reduce(offers: dict[int, list[int]], order_id: int, qty: int) -> None:
    if order_id in offers:
        offers[order_id][3] = qty
        if qty == 0:
            del offers[order_id]
