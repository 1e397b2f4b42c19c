"""How fast a principal may ask: a token bucket in two steps, as exchanges have it.

Over its rate a principal's payload is refused (`THROTTLED`); who offers more than one and a half times the rate, and
its burst, within three seconds is disconnected. Cancels have a bucket of their own, twice as large: who is in trouble
must be able to get out.
Only the clock that is handed in counts.
"""

from dataclasses import dataclass

SECOND = 10**9
_EXCESS = 1.5
_WINDOW_NS = 3 * SECOND
CANCELS_FACTOR = 2


@dataclass(frozen=True)
class Quota:
    """Requests a second, and how many at once after a rest. Rate 0 = no limit."""

    rate: int = 300
    burst: int = 500


class _Bucket:
    def __init__(self, rate: int, burst: int, now_ns: int) -> None:
        self._rate, self._burst = rate, burst
        self._tokens = float(burst)
        self._at_ns = now_ns

    def take(self, count: int, now_ns: int) -> bool:
        """Take `count` tokens if they are there."""
        passed = max(0, now_ns - self._at_ns)  # a clock that was set back takes nothing away
        self._tokens = min(self._burst, self._tokens + passed * self._rate / SECOND)
        self._at_ns = now_ns
        if count > self._tokens:
            return False
        self._tokens -= count
        return True

    def owe(self, count: int) -> None:
        """Take `count` tokens whether or not they are there."""
        self._tokens -= count


class Throttle:
    """One principal's quota."""

    def __init__(self, quota: Quota, now_ns: int) -> None:
        self._limited = quota.rate > 0
        self._orders = _Bucket(quota.rate, quota.burst, now_ns)
        self._cancels = _Bucket(CANCELS_FACTOR * quota.rate, CANCELS_FACTOR * quota.burst, now_ns)
        self._patience = _EXCESS * quota.rate * _WINDOW_NS / SECOND + quota.burst
        self._window_ns = now_ns
        self._offered = 0

    def admits(self, orders: int, cancels: int, now_ns: int) -> bool:
        """Whether a payload of so many orders and cancels may pass; counts it if so."""
        if not self._limited:
            return True
        if not 0 <= now_ns - self._window_ns < _WINDOW_NS:
            self._window_ns, self._offered = now_ns, 0
        self._offered += orders + cancels
        if orders == 0:
            return self._cancels.take(cancels, now_ns)
        return self._orders.take(orders + cancels, now_ns)

    def charge(self, count: int) -> None:
        """What was asked has turned out to cost so much more."""
        if self._limited:
            self._orders.owe(count)

    def charge_cancels(self, count: int) -> None:
        """As `charge`, of cancels: the next one waits, this one passes however much it costs."""
        if self._limited:
            self._cancels.owe(count)

    def flooding(self) -> bool:
        """Whether the principal goes on asking far too much."""
        return self._limited and self._offered > self._patience
