"""The texts inside an MQTT packet, looked at before the packet is read: each must be UTF-8.

The `mqtt5` codec panics on a text that is not: it prints to standard error and raises what is no `Exception`; and
anybody may send one before he has logged on. Here only places are followed, nothing is kept.
"""

_TEXTS = {3: 1, 8: 1, 18: 1, 21: 1, 26: 1, 28: 1, 31: 1, 38: 2}
"""Properties that are texts, and how many each is (MQTT 5, table 2-4)."""
_BINARY = 9, 22
_NUMBER = 11
_SIZES = {1: 1, 2: 4, 17: 4, 19: 2, 23: 1, 24: 4, 25: 1, 33: 2, 34: 2, 35: 2, 36: 1, 37: 1, 39: 4, 40: 1, 41: 1, 42: 1}
_WILL, _PASSWORD, _NAME = 0x04, 0x40, 0x80
"""Flags of a CONNECT."""


def check_texts(packet: bytes) -> None:
    """Follow a packet. Raises `ValueError` or `IndexError` where a text is not UTF-8 or the packet is not whole."""
    if packet.isascii():
        return
    _, at = _number(packet, 1)
    kind, end = packet[0] >> 4, len(packet)
    match kind:
        case 1:
            _connect(packet, at)
        case 2:
            _properties(packet, at + 2)
        case 3:
            at = _text(packet, at) + (2 if packet[0] & 0x06 else 0)
            _properties(packet, at)
        case 8 | 10:
            at = _properties(packet, at + 2)
            while at < end:
                at = _text(packet, at) + (1 if kind == 8 else 0)
        case 9 | 11:
            _properties(packet, at + 2)
        case 4 | 5 | 6 | 7 | 14 | 15:
            at += 3 if kind < 8 else 1
            if at < end:
                _properties(packet, at)


def _connect(packet: bytes, at: int) -> None:
    at = _text(packet, at)
    flags = packet[at + 1]
    at = _text(packet, _properties(packet, at + 4))
    if flags & _WILL:
        at = _binary(packet, _text(packet, _properties(packet, at)))
    if flags & _NAME:
        at = _text(packet, at)
    if flags & _PASSWORD:
        _binary(packet, at)


def _properties(packet: bytes, at: int) -> int:
    """Where the properties that begin at `at` end."""
    length, at = _number(packet, at)
    end = at + length
    while at < end:
        name = packet[at]
        at += 1
        if name in _SIZES:
            at += _SIZES[name]
        elif name in _BINARY:
            at = _binary(packet, at)
        elif name == _NUMBER:
            _, at = _number(packet, at)
        elif name in _TEXTS:
            for _ in range(_TEXTS[name]):
                at = _text(packet, at)
        else:
            raise ValueError(f"property {name}")
    if at != end:
        raise ValueError("length of the properties")
    return end


def _text(packet: bytes, at: int) -> int:
    end = _binary(packet, at)
    packet[at + 2 : end].decode()
    return end


def _binary(packet: bytes, at: int) -> int:
    end = at + 2 + (packet[at] << 8 | packet[at + 1])
    if end > len(packet):
        raise IndexError("length of a text")
    return end


def _number(packet: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer, and where it ends."""
    value = 0
    for shift in (0, 7, 14, 21):
        byte = packet[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("variable byte integer")
