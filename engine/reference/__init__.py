"""The readable twin: the whole exchange in plain Python on sorted containers. Slow, and obviously right.

Same commands, same events, byte for byte, and the same canonical state as the compiled `Exchange`; every rule is
written here first. Read upwards:

    model      orders, accounts, days; prices, fees and rounding
    auctions   the price of a call auction, and who gets what in a one-way one: pure functions
    ladder     why a command is refused: every check in ascending number
    exchange   what an admitted command does, in the order of the commands

It shares nothing with the compiled core but the enumerations, the two record layouts and the rulebook.
"""

from engine.reference.exchange import ReferenceExchange

__all__ = ["ReferenceExchange"]
