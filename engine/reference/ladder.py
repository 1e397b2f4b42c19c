"""Why a command is refused: every check, in ascending number of `RejectReason`; nothing in here changes anything.

Start at `_trading_reason`. A check that cannot be evaluated (the funds behind an unknown order) counts as passed.
"""

from itertools import islice

from engine.codes import (
    NONE,
    TRADING_KINDS,
    BlockReference,
    ClickChoice,
    CommandKind,
    Lots,
    OrderCondition,
    OrdType,
    Participant,
    Phase,
    RejectReason,
    Role,
    Rule,
    SelfTrade,
    Side,
    Stage,
    TimeInForce,
    TradingMode,
)
from engine.reference.model import (
    BASIS,
    GOVERNMENT,
    Ask,
    InstrumentDay,
    RestingOrder,
    Venue,
    accepts,
    gross,
    opposite,
)

MAX_QTY_T, MAX_AMOUNT_FEN, MAX_UNITS_T, MAX_ACCOUNTS = 10**12, 10**17, 10**13, 2**24
MAX_CASH_FEN = MAX_VALUE_FEN = 2**61

Kind = CommandKind
SIDED = (Kind.NEW, Kind.CLICK, Kind.PROPOSE, Kind.OFFER, Kind.ANNOUNCE)
"""Name an instrument, a side and a quantity."""
SIZED = (*SIDED, Kind.TAKE, Kind.APPLY, Kind.BID)
LEAVING = (Kind.CANCEL, Kind.DECLINE, Kind.MASS_CANCEL)
"""Allowed to everybody: they only take away."""
ON_AUCTION = (Kind.ANNOUNCE, Kind.APPLY, Kind.BID)
SCREEN = (Kind.NEW, Kind.CLICK, Kind.REPLACE)
FITS: dict[int, tuple[Role, ...]] = {
    Kind.CANCEL: (Role.ORDER, Role.OFFER), Kind.REPLACE: (Role.ORDER,), Kind.CLICK: (Role.ORDER,),
    Kind.CONFIRM: (Role.PROPOSAL,), Kind.DECLINE: (Role.PROPOSAL,), Kind.TAKE: (Role.OFFER,),
    Kind.APPLY: (Role.AUCTION,), Kind.BID: (Role.AUCTION,), Kind.END_STAGE: (Role.AUCTION,),
}  # fmt: skip
"""What a command's target must be."""
NONE_REASON = RejectReason.NONE


def is_better(side: int, price: int, than: int) -> bool:
    """Whether a bid of `side` at `price` stands before one at `than`."""
    return price > than if side == Side.BUY else price < than


class Ladder(Venue):
    """`_reason(ask)` is the first check that fails, or NONE."""

    def _reason(self, ask: Ask) -> RejectReason:
        kind = ask["kind"]
        if kind in TRADING_KINDS:
            return self._trading_reason(ask)
        if kind in (Kind.DEPOSIT, Kind.WITHDRAW, Kind.FINE):
            return self._cash_reason(ask)
        if kind in (Kind.ISSUE, Kind.SURRENDER, Kind.DEDUCT):
            return self._units_reason(ask)
        if kind in (Kind.OPEN_ACCOUNT, Kind.KILL_SWITCH):
            return self._account_reason(ask)
        if kind == Kind.PHASE:
            return NONE_REASON if ask["phase"] < len(Phase) else RejectReason.UNKNOWN_TYPE
        if kind == Kind.DAY_ROLL:
            if ask["date"] == NONE:
                return RejectReason.MISSING_FIELD
            return RejectReason.OUT_OF_RANGE if ask["date"] <= self._date else NONE_REASON
        if kind == Kind.SET_RULE:
            return self._rule_reason(ask)
        if kind == Kind.END_STAGE:
            return self._end_stage_reason(ask)
        return RejectReason.UNKNOWN_TYPE

    def _trading_reason(self, ask: Ask) -> RejectReason:
        """The ladder of every trading command, rung by rung."""
        order, ended = self._target(ask)
        reason = self._syntax_reason(ask)
        if reason:
            return reason
        kind, instrument = ask["kind"], ask["instrument"]
        if kind == Kind.MASS_CANCEL and instrument == NONE:
            instrument = 0
        elif kind not in (*SIDED, Kind.MASS_CANCEL):
            instrument = order.instrument if order else 0
        if not 0 <= instrument < len(self._days):
            return RejectReason.UNKNOWN_SYMBOL
        day, price = self._days[instrument], self._asked_price(ask, instrument)
        reason = self._market_reason(ask, day) or self._size_reason(ask, day, price)
        if reason:
            return reason
        if kind == Kind.CLICK and order:
            if order.price not in islice(self._prices(day, order.side), day.rules[Rule.CLICK_LEVELS]):
                return RejectReason.PRICE_OUTSIDE_BEST5
            oldest = day.book[order.side][order.price][0]
            if day.rules[Rule.CLICK_CHOICE] == ClickChoice.OLDEST and oldest is not order:
                return RejectReason.LISTING_NOT_OLDEST
        if kind in (Kind.PROPOSE, Kind.CONFIRM, Kind.DECLINE):
            return self._block_reason(ask, day, order)
        if kind in (Kind.OFFER, Kind.TAKE):
            return self._offer_reason(ask, day, order, ended)
        if kind in ON_AUCTION:
            return self._auction_reason(ask, day, order)
        if kind == Kind.MASS_CANCEL:
            return NONE_REASON
        return self._screen_reason(ask, instrument, price, order, ended)

    def _target(self, ask: Ask) -> tuple[RestingOrder | None, RejectReason]:
        """What a command names, if it is alive and of the right kind; else how it ended."""
        order = self._orders.get(ask["target_id"])
        if order is None:
            return None, self._ended.get(ask["target_id"], RejectReason.UNKNOWN_ORDER)
        kind = ask["kind"]
        fits = order.role in FITS.get(kind, ())
        if kind == Kind.CLICK:
            fits = fits and order.side == opposite(ask["side"]) and order.instrument == ask["instrument"]
        return (order if fits else None), RejectReason.UNKNOWN_ORDER

    def _asked_price(self, ask: Ask, instrument: int) -> int:
        """The price a command means, fen: NONE for a market order, the other side's best for a market-to-limit one."""
        if ask["kind"] == Kind.NEW and ask["ord_type"] == OrdType.MARKET:
            return NONE
        if ask["kind"] == Kind.NEW and ask["ord_type"] == OrdType.MARKET_TO_LIMIT:
            best = self._best(self._days[instrument], opposite(ask["side"]))
            return NONE if best is None else best
        return ask["price_fen"]

    def _syntax_reason(self, ask: Ask) -> RejectReason:
        """2040 to 2090."""
        kind, qty, target = ask["kind"], ask["qty"], ask["target_id"]
        if kind in SIDED and ask["side"] not in (Side.BUY, Side.SELL):
            return RejectReason.UNKNOWN_TYPE
        if kind == Kind.MASS_CANCEL and ask["side"] > Side.SELL:
            return RejectReason.UNKNOWN_TYPE
        if kind == Kind.NEW:
            known = ask["ord_type"] in tuple(OrdType) and ask["tif"] in tuple(TimeInForce)
            if not known or ask["flags"] > 1 << OrderCondition.POST_ONLY:
                return RejectReason.UNKNOWN_TYPE
        priced = kind in (Kind.PROPOSE, Kind.OFFER, Kind.ANNOUNCE, Kind.BID)
        priced = priced or (kind == Kind.NEW and ask["ord_type"] == OrdType.LIMIT)
        priced = priced or (kind == Kind.CLICK and target == NONE)
        if (kind in SIZED and qty == NONE) or (priced and ask["price_fen"] == NONE):
            return RejectReason.MISSING_FIELD
        if kind == Kind.NEW and ask["tif"] == TimeInForce.GTD and ask["until_ns"] == NONE:
            return RejectReason.MISSING_FIELD
        if kind not in (*SIDED, Kind.MASS_CANCEL) and target == NONE:
            return RejectReason.MISSING_FIELD
        if kind == Kind.PROPOSE and ask["contra"] == NONE:
            return RejectReason.MISSING_FIELD
        if qty != NONE and not 0 <= qty <= MAX_QTY_T:
            return RejectReason.OUT_OF_RANGE
        if kind in (Kind.NEW, Kind.BID) and ask["min_qty"] != NONE and not 1 <= ask["min_qty"] <= qty:
            return RejectReason.OUT_OF_RANGE
        bound = ask["limit_price_fen"]
        if kind == Kind.ANNOUNCE and bound != NONE and is_better(opposite(ask["side"]), ask["price_fen"], bound):
            return RejectReason.OUT_OF_RANGE
        if ask["account"] not in self._accounts:
            return RejectReason.UNKNOWN_ACCOUNT
        if kind == Kind.PROPOSE and ask["contra"] not in self._accounts:
            return RejectReason.UNKNOWN_ACCOUNT
        return NONE_REASON

    def _market_reason(self, ask: Ask, day: InstrumentDay) -> RejectReason:
        """3020 to 3080."""
        kind, rules, account = ask["kind"], day.rules, self._accounts[ask["account"]]
        permitted = rules[Rule.PERMITS + self._phase] >> kind & 1
        if not permitted and self._phase == Phase.CLOSED:
            return RejectReason.MARKET_CLOSED
        if not permitted and self._phase == Phase.HALTED:
            return RejectReason.HALTED
        if kind in SCREEN and ask["time_ns"] < day.halted_until_ns:
            return RejectReason.HALTED
        if not permitted:
            return RejectReason.WRONG_PHASE
        if not rules[Rule.TRADABLE] and kind not in LEAVING and kind not in ON_AUCTION:
            return RejectReason.NOT_TRADABLE_TODAY
        if not self._offered(ask, rules):
            return RejectReason.NOT_OFFERED
        if kind in LEAVING:
            return NONE_REASON
        admitted = rules[Rule.AUCTION_BIDDERS if kind in (Kind.APPLY, Kind.BID) else Rule.PARTICIPANTS]
        state_sells = kind == Kind.ANNOUNCE and ask["account"] == GOVERNMENT
        if not admitted >> account.participant & 1 and not state_sells:
            return RejectReason.NOT_ADMITTED
        return RejectReason.ACCOUNT_BLOCKED if account.blocked else NONE_REASON

    def _offered(self, ask: Ask, rules: list[int]) -> bool:
        """Whether this market has such a mode, order type, validity and condition."""
        kind = ask["kind"]
        if kind == Kind.NEW:
            offered = rules[Rule.ORD_TYPES] >> ask["ord_type"] & rules[Rule.TIMES_IN_FORCE] >> ask["tif"] & 1
            conditions = ask["flags"] | (ask["min_qty"] != NONE) << OrderCondition.MIN_QTY
            if self._phase == Phase.CALL:
                rests = ask["tif"] in (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD)
                gathers = rules[Rule.MODE] == TradingMode.CONTINUOUS and ask["ord_type"] == OrdType.LIMIT
                return bool(offered and rests and gathers and not conditions)
            return bool(offered and not conditions & ~rules[Rule.CONDITIONS])
        if kind == Kind.CLICK:
            return rules[Rule.MODE] == TradingMode.LISTED
        if kind == Kind.PROPOSE:
            return rules[Rule.BLOCK_MIN_QTY_T] != NONE
        if kind == Kind.OFFER:
            return rules[Rule.OFFER_MIN_QTY_T] != NONE
        return kind != Kind.ANNOUNCE or rules[Rule.AUCTION_PRICING] != NONE

    def _size_reason(self, ask: Ask, day: InstrumentDay, price: int) -> RejectReason:
        """4010 to 4060."""
        kind, qty, rules = ask["kind"], ask["qty"], day.rules
        if kind not in SIZED and kind != Kind.REPLACE:
            return NONE_REASON
        low, high = self._price_range(kind, day)
        prices = [price, ask["limit_price_fen"]] if kind == Kind.ANNOUNCE else [price]
        if kind in (Kind.TAKE, Kind.APPLY):
            prices = []
        prices = [p for p in prices if p != NONE]
        # Of an auction only the reserve is banded; the bound of its bids may lie anywhere.
        widest = day.band(day.prev_close, NONE, NONE)
        if any(p > (high if p == price else widest[1]) for p in prices):
            return RejectReason.PRICE_ABOVE_LIMIT
        if any(p < (low if p == price else widest[0]) for p in prices):
            return RejectReason.PRICE_BELOW_LIMIT
        if any(p % rules[Rule.TICK_FEN] for p in prices):
            return RejectReason.BAD_TICK
        if qty == NONE:
            return NONE_REASON
        if qty % rules[Rule.AUCTION_LOT_T if kind in (Kind.APPLY, Kind.BID) else Rule.LOT_T]:
            return RejectReason.BAD_LOT
        if kind in SCREEN and qty > rules[Rule.SCREEN_MAX_QTY_T]:
            return RejectReason.QTY_TOO_LARGE
        dearest = day.limit_high if kind in SCREEN else rules[Rule.PRICE_HIGH_FEN]
        if kind in (*SCREEN, Kind.TAKE) and day.value + dearest * qty > MAX_VALUE_FEN:
            return RejectReason.QTY_TOO_LARGE
        return RejectReason.QTY_ZERO if qty == 0 else NONE_REASON

    @staticmethod
    def _price_range(kind: int, day: InstrumentDay) -> tuple[int, int]:
        """Prices a command may name; blocks have rung 8050 instead."""
        if kind in SCREEN:
            return day.limit_low, day.limit_high
        if kind == Kind.OFFER:
            return day.around_close(Rule.OFFER_BAND_BP)
        if kind == Kind.ANNOUNCE:
            return day.around_close(Rule.AUCTION_RESERVE_BAND_BP)
        if kind == Kind.BID:
            return day.band(day.prev_close, NONE, NONE)
        return NONE, 2**31

    def _screen_reason(
        self, ask: Ask, instrument: int, price: int, order: RestingOrder | None, ended: RejectReason
    ) -> RejectReason:
        """4090 to 6080 of NEW, CLICK, REPLACE and CANCEL."""
        day = self._days[instrument]
        rules, kind, side, qty, account = day.rules, ask["kind"], ask["side"], ask["qty"], ask["account"]
        names = kind in (Kind.CANCEL, Kind.REPLACE) or ask["target_id"] != NONE
        if kind != Kind.NEW and names and order is None:
            return ended
        if kind in (Kind.CANCEL, Kind.REPLACE):
            assert order
            if order.account != account:
                return RejectReason.NOT_OWNER
            if kind == Kind.CANCEL:
                return NONE_REASON
            price, leaves = self._replaced(ask, order)
            side, wanted, qty = order.side, leaves, leaves - order.leaves
            cash = gross(rules, order.mode, price) * leaves - gross(rules, order.mode, order.price) * order.leaves
        else:
            wanted = qty
            clicked = order if kind == Kind.CLICK else None
            cash = gross(rules, rules[Rule.MODE], clicked.price if clicked else price) * qty
        if self._would_cross(ask, day, side, price):
            return RejectReason.WOULD_CROSS
        if kind == Kind.NEW and ask["ord_type"] == OrdType.MARKET_TO_LIMIT and price == NONE:
            return RejectReason.NO_OPPOSITE_PRICE
        crossing = rules[Rule.MODE] == TradingMode.CONTINUOUS and self._phase != Phase.CALL
        crossing = crossing or (kind == Kind.CLICK and order is None)
        levels = rules[Rule.CLICK_LEVELS] if kind == Kind.CLICK else None
        met = self._reachable(day, side, price, wanted, levels, account) if crossing else []
        if price == NONE and kind == Kind.NEW:
            cash = sum(gross(rules, rules[Rule.MODE], o.price) * fill for o, fill in met)
        reason = self._funds_reason(account, instrument, side, cash, qty)
        if reason:
            return reason
        clicked = order if kind == Kind.CLICK else None
        refuses = (SelfTrade.REJECT_TAKER, SelfTrade.CANCEL_TAKER)
        if rules[Rule.SELF_TRADE] in refuses and clicked and clicked.account == account:
            return RejectReason.SELF_TRADE
        if rules[Rule.SELF_TRADE] == SelfTrade.REJECT_TAKER and any(o.account == account for o, _ in met):
            return RejectReason.SELF_TRADE
        if kind == Kind.REPLACE and wanted <= 0:
            return RejectReason.REPLACE_BELOW_FILLED
        reachable = sum(fill for _, fill in met)
        if kind == Kind.NEW and crossing and ask["tif"] == TimeInForce.FOK and reachable < qty:
            return RejectReason.FOK_NOT_FILLABLE
        if kind == Kind.NEW and crossing and ask["min_qty"] != NONE and reachable < ask["min_qty"]:
            return RejectReason.MIN_QTY_NOT_FILLABLE
        if clicked and not accepts(side, price, clicked.price):
            return RejectReason.PRICE_CHANGED
        return NONE_REASON

    def _would_cross(self, ask: Ask, day: InstrumentDay, side: int, price: int) -> bool:
        """Whether it would meet the other side where the order or the rulebook does not want that."""
        if ask["kind"] not in (Kind.NEW, Kind.REPLACE):
            return False
        listed = day.rules[Rule.MODE] == TradingMode.LISTED and not day.rules[Rule.CROSSED_LISTINGS]
        if not listed and not (ask["kind"] == Kind.NEW and ask["flags"]):
            return False
        best = self._best(day, opposite(side))
        return best is not None and accepts(side, price, best)

    def _block_reason(self, ask: Ask, day: InstrumentDay, proposal: RestingOrder | None) -> RejectReason:
        """5010 to 8050 of the block commands."""
        kind, account, rules = ask["kind"], ask["account"], day.rules
        if kind == Kind.PROPOSE:
            if ask["contra"] == account:
                return RejectReason.SELF_TRADE
            if ask["qty"] < rules[Rule.BLOCK_MIN_QTY_T]:
                return RejectReason.BLOCK_TOO_SMALL
            low, high = day.block_low, day.block_high
            if self._is_free(rules, ask["qty"]):
                low, high = day.band(day.prev_close, NONE, NONE)
            return NONE_REASON if low <= ask["price_fen"] <= high else RejectReason.BLOCK_PRICE_LIMIT
        if proposal is None:
            return RejectReason.UNKNOWN_PROPOSAL
        parties = [proposal.contra] + ([proposal.account] if kind == Kind.DECLINE else [])
        if account not in parties:
            return RejectReason.NOT_COUNTERPARTY
        if kind == Kind.DECLINE:
            return NONE_REASON
        if proposal.until_ns != NONE and ask["time_ns"] >= proposal.until_ns:
            return RejectReason.PROPOSAL_EXPIRED
        buyer, seller = self._buyer_seller(proposal, account)
        cash = gross(rules, TradingMode.BLOCK, proposal.price) * proposal.leaves
        reason = self._funds_reason(buyer, proposal.instrument, Side.BUY, cash, proposal.leaves)
        return reason or self._funds_reason(seller, proposal.instrument, Side.SELL, cash, proposal.leaves)

    @staticmethod
    def _is_free(rules: list[int], qty: int) -> bool:
        """Whether a block of this size has no price limit."""
        return rules[Rule.BLOCK_FREE_FROM_T] != NONE and qty >= rules[Rule.BLOCK_FREE_FROM_T]

    @staticmethod
    def _in_band(day: InstrumentDay, deal: RestingOrder) -> bool:
        """Whether the close proves the price of a deal that was held until then."""
        if day.rules[Rule.BLOCK_REFERENCE] != BlockReference.SAME_DAY_CLOSE or Ladder._is_free(day.rules, deal.leaves):
            return True
        low, high = day.band(day.prev_close, day.rules[Rule.BLOCK_BAND_BP], day.rules[Rule.BLOCK_BAND_BP])
        return low <= deal.price <= high

    def _offer_reason(
        self, ask: Ask, day: InstrumentDay, offer: RestingOrder | None, ended: RejectReason
    ) -> RejectReason:
        """5010 to 8040 of OFFER and TAKE."""
        account, qty = ask["account"], ask["qty"]
        if ask["kind"] == Kind.OFFER:
            cash = gross(day.rules, TradingMode.OFFER, ask["price_fen"]) * qty
            reason = self._funds_reason(account, ask["instrument"], ask["side"], cash, qty)
            too_small = qty < day.rules[Rule.OFFER_MIN_QTY_T]
            return reason or (RejectReason.BLOCK_TOO_SMALL if too_small else NONE_REASON)
        if offer is None:
            return ended
        cash = gross(day.rules, TradingMode.OFFER, offer.price) * qty
        reason = self._funds_reason(account, offer.instrument, opposite(offer.side), cash, qty)
        if reason:
            return reason
        own = offer.account == account and day.rules[Rule.SELF_TRADE] != SelfTrade.ALLOW
        return RejectReason.SELF_TRADE if own else NONE_REASON

    def _auction_reason(self, ask: Ask, day: InstrumentDay, auction: RestingOrder | None) -> RejectReason:
        """5010 to 8090 of ANNOUNCE, APPLY and BID."""
        kind, account, qty, rules = ask["kind"], ask["account"], ask["qty"], day.rules
        if kind == Kind.ANNOUNCE:
            cash = gross(rules, TradingMode.AUCTION, ask["price_fen"]) * qty
            return self._funds_reason(account, ask["instrument"], ask["side"], cash, qty)
        if auction is None:
            return RejectReason.AUCTION_CLOSED
        if kind == Kind.APPLY:
            applied = any(o.account == account for o in self._of_auction(auction, Role.APPLICATION))
            if rules[Rule.FUNDED] and self._accounts[account].cash < self._deposit(auction, qty):
                return RejectReason.INSUFFICIENT_CASH
            if auction.account == account:
                return RejectReason.SELF_TRADE
            if auction.stage != Stage.APPLICATION:
                return RejectReason.AUCTION_CLOSED
            return RejectReason.BID_LIMIT if applied else NONE_REASON
        price, side = ask["price_fen"], opposite(auction.side)
        bids = self._of_auction(auction, Role.BID)
        own = [bid for bid in bids if bid.account == account]
        replaced = own[0] if own and rules[Rule.AUCTION_LOTS] == Lots.WHOLE else None
        cash, more = gross(rules, TradingMode.AUCTION, price) * qty, qty
        if replaced:
            cash -= gross(rules, TradingMode.AUCTION, replaced.price) * replaced.leaves
            more -= replaced.leaves
        reason = self._funds_reason(account, auction.instrument, side, cash, more)
        if reason:
            return reason
        if auction.account == account:
            return RejectReason.SELF_TRADE
        if auction.stage == Stage.APPLICATION:
            return RejectReason.AUCTION_CLOSED
        if is_better(side, auction.price, price) or (auction.bound != NONE and is_better(side, price, auction.bound)):
            return RejectReason.BID_BELOW_RESERVE
        if self._over_bid_limit(auction, account, qty, sum(bid.leaves for bid in own)):
            return RejectReason.BID_LIMIT
        timed = auction.stage == Stage.TIMED and bids and not is_better(side, price, bids[0].price)
        if timed or (replaced and not is_better(side, price, replaced.price)):
            return RejectReason.BID_NOT_BETTER
        return NONE_REASON

    def _deposit(self, auction: RestingOrder, qty: int) -> int:
        """Cash behind an application, fen, rounded up."""
        return -(-auction.price * qty * self._days[auction.instrument].rules[Rule.AUCTION_DEPOSIT_BP] // BASIS)

    def _over_bid_limit(self, auction: RestingOrder, account: int, qty: int, standing: int) -> bool:
        """Whether a bid is too small, not for the whole lot, or more than its bidder may take."""
        rules = self._days[auction.instrument].rules
        if rules[Rule.AUCTION_LOTS] == Lots.WHOLE:
            return qty != auction.leaves
        total = standing + qty
        if qty < rules[Rule.AUCTION_MIN_BID_T] or total * BASIS > auction.leaves * rules[Rule.AUCTION_MAX_SHARE_BP]:
            return True
        if not rules[Rule.AUCTION_STAGES] >> Stage.APPLICATION & 1:
            return False
        applied = [o.leaves for o in self._of_auction(auction, Role.APPLICATION) if o.account == account]
        return total > sum(applied)

    def _end_stage_reason(self, ask: Ask) -> RejectReason:
        if ask["target_id"] == NONE:
            return RejectReason.MISSING_FIELD
        auction, _ = self._target(ask)
        if auction is None:
            return RejectReason.AUCTION_CLOSED
        day = self._days[auction.instrument]
        too_large = day.value + day.rules[Rule.PRICE_HIGH_FEN] * auction.leaves > MAX_VALUE_FEN
        return RejectReason.QTY_TOO_LARGE if too_large else NONE_REASON

    # Risk.

    def _funds_reason(self, account: int, instrument: int, side: int, cash: int, qty: int) -> RejectReason:
        """5010 to 5050."""
        rules = self._days[instrument].rules
        if not rules[Rule.FUNDED]:
            return NONE_REASON
        holder = self._accounts[account]
        h = holder.holdings[instrument]
        if side == Side.SELL:
            reason = self._lacks_units(account, instrument, qty)
            limited = holder.participant == Participant.COVERED and rules[Rule.MAX_SALE_BP] != NONE and qty > 0
            if not reason and limited and (h.sold + h.held + qty) * BASIS > h.allocated * rules[Rule.MAX_SALE_BP]:
                return RejectReason.SALE_LIMIT
            return reason
        if holder.cash < cash:
            return RejectReason.INSUFFICIENT_CASH
        limit = self._holding_limit(account, instrument, Rule.MAX_HOLDING_T)
        over = qty > 0 and limit != NONE and h.owned + h.bidding + qty > limit
        return RejectReason.POSITION_LIMIT if over else NONE_REASON

    def _holding_limit(self, account: int, instrument: int, first: Rule) -> int:
        """A limit on holdings by kind of participant, t; of covered firms perhaps beyond what was allocated."""
        rules, holder = self._days[instrument].rules, self._accounts[account]
        limit = rules[first + holder.participant]
        beyond = rules[Rule.HOLDING_BEYOND_ALLOCATION] and holder.participant == Participant.COVERED
        return limit + holder.holdings[instrument].allocated if limit != NONE and beyond else limit

    def _lacks_units(self, account: int, instrument: int, qty: int) -> RejectReason:
        holding = self._accounts[account].holdings[instrument]
        if holding.available >= qty:
            return NONE_REASON
        enough_tomorrow = holding.available + holding.locked >= qty
        return RejectReason.T_PLUS_1 if enough_tomorrow else RejectReason.INSUFFICIENT_ALLOWANCE

    # Commands that are not trading.

    def _account_reason(self, ask: Ask) -> RejectReason:
        opens, number = ask["kind"] == Kind.OPEN_ACCOUNT, ask["account"]
        if number == NONE:
            return RejectReason.MISSING_FIELD
        if not 0 <= number < MAX_ACCOUNTS or ask["flags"] >= (len(Participant) if opens else 2):
            return RejectReason.OUT_OF_RANGE
        if opens:
            return RejectReason.ACCOUNT_EXISTS if number in self._accounts else NONE_REASON
        return NONE_REASON if number in self._accounts else RejectReason.UNKNOWN_ACCOUNT

    def _cash_reason(self, ask: Ask) -> RejectReason:
        amount, is_deposit = ask["amount_fen"], ask["kind"] == Kind.DEPOSIT
        if amount == NONE:
            return RejectReason.MISSING_FIELD
        if not 0 < amount <= MAX_AMOUNT_FEN or (is_deposit and self._cash_in + amount > MAX_CASH_FEN):
            return RejectReason.OUT_OF_RANGE
        if ask["account"] not in self._accounts:
            return RejectReason.UNKNOWN_ACCOUNT
        if not is_deposit and self._accounts[ask["account"]].cash < amount:
            return RejectReason.INSUFFICIENT_CASH
        return NONE_REASON

    def _units_reason(self, ask: Ask) -> RejectReason:
        qty, instrument, issues = ask["qty"], ask["instrument"], ask["kind"] == Kind.ISSUE
        known = 0 <= instrument < len(self._days)
        if qty == NONE:
            return RejectReason.MISSING_FIELD
        if not 0 < qty <= MAX_QTY_T or (issues and known and self._days[instrument].issued + qty > MAX_UNITS_T):
            return RejectReason.OUT_OF_RANGE
        if ask["account"] not in self._accounts:
            return RejectReason.UNKNOWN_ACCOUNT
        if not known:
            return RejectReason.UNKNOWN_SYMBOL
        return NONE_REASON if issues else self._lacks_units(ask["account"], instrument, qty)

    def _rule_reason(self, ask: Ask) -> RejectReason:
        ranges = {
            Rule.BAND_DOWN_BP: (NONE, BASIS - 1), Rule.BAND_UP_BP: (NONE, BASIS - 1),
            Rule.BLOCK_BAND_BP: (NONE, BASIS - 1),
            Rule.TRADABLE: (0, 1), Rule.UNITS_T_PLUS: (0, 1), Rule.SCREEN_MAX_QTY_T: (1, 10**9),
            Rule.CLICK_LEVELS: (1, 10**9),
        }  # fmt: skip
        rule = ask["rule"]
        if rule == NONE:
            return RejectReason.MISSING_FIELD
        if rule not in ranges:
            return RejectReason.UNKNOWN_TYPE
        low, high = ranges[Rule(rule)]
        if not low <= ask["amount_fen"] <= high:
            return RejectReason.OUT_OF_RANGE
        return NONE_REASON if 0 <= ask["instrument"] < len(self._days) else RejectReason.UNKNOWN_SYMBOL
