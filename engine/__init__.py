"""The exchange as a deterministic state machine: commands in, events out; no clock, no randomness, no I/O.

A guided tour, in the order an order travels:

    records.py, codes.py   what a command and an event are (the contract)
    rules/                 a market's law: TOML with a source beside every value -> rows of integers
    exchange.py            Exchange.submit(commands) -> events: one compiled call per batch
    core/batch.py          a batch of commands is shared by three loops: apply_screen, apply_ledger, apply_other
    core/admit*.py         the ladder of checks: the first that fails is the reject reason
    core/continuous.py, listed.py, call.py, negotiated.py, auction.py     how a price is agreed
    core/living.py         what waits, whatever its role: placed, traded, removed
    core/book.py           price levels and their queues
    core/accounts.py       cash and units: available, held, locked
    core/emit.py           what an event row says, and which event follows which
    core/day.py            the day roll: expire, close, unlock, new limits
    reference/             the readable twin: same commands, same events
    feed/                  what the public sees, derived from events alone

Start reading at `reference/`: it is the specification that the compiled core must equal, event by event.
"""
