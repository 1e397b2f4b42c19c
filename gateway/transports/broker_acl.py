"""Access lists for a broker, made from the accounts file: `topics.may_read` and `topics.requests` in other words.

Behind a broker the topic is all that the venue sees of who asks, so this list is the whole identity check. Traders
come in by patterns (`%u`, `${username}`): another trader needs a password at the broker, but no other list. Everybody
else is named. Who is missing here can do what a trader can; the venue refuses what is not in its accounts file.
"""

from collections.abc import Iterable
from enum import StrEnum

from gateway.accounts import Holder
from gateway.errors import GatewayError
from gateway.wire import topics
from gateway.wire.topics import Principal, Role

_ANYBODY_READS = topics.MARKET_DATA + "#"
_REQUESTS = topics.PREFIX + "in/#"


class BrokerKind(StrEnum):
    """Whose words."""

    MOSQUITTO = "mosquitto"
    EMQX = "emqx"


def access_list(kind: BrokerKind, holders: Iterable[Holder], venue_user: str) -> str:
    """The whole file. Raises `GatewayError` where the venue's own user is an account's name too.

    Parameters
    ----------
    venue_user : as whom the venue logs on at the broker
    """
    everybody = list(holders)
    if any(holder.name == venue_user for holder in everybody):
        raise GatewayError(f"broker user: got {venue_user!r}, expected a name that no account has")
    others = [holder for holder in everybody if holder.role is not Role.TRADER]
    return (_mosquitto if kind is BrokerKind.MOSQUITTO else _emqx)(others, venue_user)


def _venue() -> tuple[list[str], list[str]]:
    """What the venue reads and writes."""
    reads = [topic for role in (Role.TRADER, Role.INSTRUCTOR) if (topic := topics.requests(Principal("+", 0, role)))]
    return reads, [topics.reports("+"), topics.copies("+"), topics.TAPE, _ANYBODY_READS]


def _rights(holder: Holder) -> tuple[list[str], list[str]]:
    """What somebody who is no trader reads and writes, beyond market data and his own reports."""
    person = Principal(holder.name, holder.number, holder.role)
    own = topics.requests(person)
    reads = [topic for topic in (topics.copies("+"), topics.TAPE) if topics.may_read(person, topic)]
    return reads, [own] if own else []


def _mosquitto(others: list[Holder], venue_user: str) -> str:
    """`acl_file` of Mosquitto 2: a user's denials first, then its topics, then the patterns of everybody."""
    trader = Principal("%u", 0, Role.TRADER)
    lines = [
        "# Made by `emex broker-acl`; traders come in by the patterns. Mosquitto warns that one of them names no user.",
        f"pattern write {topics.requests(trader)}",
        f"pattern read {topics.reports('%u')}",
        f"pattern read {_ANYBODY_READS}",
        "",
        f"user {venue_user}",
    ]
    reads, writes = _venue()
    lines += [f"topic read {topic}" for topic in reads] + [f"topic write {topic}" for topic in writes]
    for holder in others:
        reads, writes = _rights(holder)
        lines += ["", f"user {holder.name}", f"topic deny {_REQUESTS}"]
        lines += [f"topic read {topic}" for topic in reads] + [f"topic write {topic}" for topic in writes]
    return "\n".join(lines) + "\n"


def _emqx(others: list[Holder], venue_user: str) -> str:
    """`acl.conf` of EMQX 5: the first rule that fits decides."""
    reads, writes = _venue()
    lines = [
        "%% Made by `emex broker-acl`; traders come in by the rules with ${username}.",
        _rule("allow", venue_user, "subscribe", reads),
        _rule("allow", venue_user, "publish", writes),
    ]
    for holder in others:
        reads, writes = _rights(holder)
        lines += [_rule("allow", holder.name, "subscribe", reads)] if reads else []
        lines += [_rule("allow", holder.name, "publish", writes)] if writes else []
        lines.append(_rule("deny", holder.name, "publish", ["#"]))
    trader = Principal("${username}", 0, Role.TRADER)
    lines += [
        _rule("allow", None, "publish", [topics.requests(trader) or ""]),
        _rule("allow", None, "subscribe", [topics.reports("${username}"), _ANYBODY_READS]),
        "{deny, all}.",
    ]
    return "\n".join(lines) + "\n"


def _rule(permission: str, user: str | None, action: str, names: list[str]) -> str:
    who = "all" if user is None else f'{{user, "{user}"}}'
    listed = ", ".join(f'"{name}"' for name in names)
    return f"{{{permission}, {who}, {action}, [{listed}]}}."
