"""The names of the channels, and who may publish or read which.

    emex/1/in/NAME              requests of one account                       its trader publishes
    emex/1/out/NAME             its private reports, numbered                 its trader reads
    emex/1/copy/NAME            the same reports, read only (drop copy)       instructor, drop copy
    emex/1/admin/NAME           the operator's commands                       its instructor publishes
    emex/1/tape                 every event of the venue, whole               instructor, drop copy
    emex/1/md/SYMBOL/snapshot   the book, retained                            everybody
    emex/1/md/SYMBOL/update     what changed in it, numbered                  everybody
    emex/1/md/status            phase, date, halts, retained                  everybody

Wildcards are legal where every topic they match may be read: `emex/1/md/#`, and `emex/1/copy/+` for those who read all
copies. Nothing else is: no `$share`, no `$SYS`. The `1` is the version of the contract.
"""

from enum import StrEnum
from typing import NamedTuple

PREFIX = "emex/1/"


class Role(StrEnum):
    """What a principal may do."""

    TRADER = "trader"
    """Acts for its own account and reads its own reports."""
    INSTRUCTOR = "instructor"
    """Operates the venue: any command for any account."""
    OBSERVER = "observer"
    """Reads what is public."""
    DROP_COPY = "drop_copy"
    """Reads every account's reports, sends nothing."""


class Principal(NamedTuple):
    """Who a session belongs to, as the door has found out."""

    name: str
    number: int
    """Key of its requests in the journal; a trader's is its account number."""
    role: Role


MARKET_DATA = PREFIX + "md/"
STATUS = MARKET_DATA + "status"
TAPE = PREFIX + "tape"

_PUBLISHES = {Role.TRADER: "in", Role.INSTRUCTOR: "admin"}
_READS_ALL = (Role.INSTRUCTOR, Role.DROP_COPY)


def requests(principal: Principal) -> str | None:
    """The one topic on which the principal publishes; None when its role sends nothing."""
    kind = _PUBLISHES.get(principal.role)
    return kind and f"{PREFIX}{kind}/{principal.name}"


def reports(name: str) -> str:
    """Private reports of one account."""
    return f"{PREFIX}out/{name}"


def copies(name: str) -> str:
    """The drop copy of one account's reports."""
    return f"{PREFIX}copy/{name}"


def snapshot(symbol: str) -> str:
    """The book of one instrument."""
    return f"{MARKET_DATA}{symbol}/snapshot"


def update(symbol: str) -> str:
    """Changes of the book of one instrument."""
    return f"{MARKET_DATA}{symbol}/update"


def may_read(principal: Principal, pattern: str) -> bool:
    """Whether the principal may subscribe to `pattern` (an MQTT topic filter)."""
    if not pattern.startswith(PREFIX):
        return False
    kind, _, rest = pattern.removeprefix(PREFIX).partition("/")
    match kind:
        case "md":
            return bool(rest)
        case "out":
            return requests(principal) is not None and rest == principal.name
        case "copy":
            return principal.role in _READS_ALL and rest != "" and (rest == "+" or _plain(rest))
        case "tape":
            return principal.role in _READS_ALL and pattern == TAPE
        case _:
            return False


def _plain(level: str) -> bool:
    """One level of a topic, without wildcards."""
    return not set(level) & set("/+#")


def matches(pattern: str, topic: str) -> bool:
    """Whether `topic` (without wildcards) is matched by the filter `pattern` (MQTT 5, section 4.7)."""
    wanted, levels = pattern.split("/"), topic.split("/")
    for at, level in enumerate(wanted):
        if level == "#":
            return True
        if at == len(levels) or level not in ("+", levels[at]):
            return False
    return len(wanted) == len(levels)
