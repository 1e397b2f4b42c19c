"""The session layer without I/O: bytes come in through methods, bytes go out as lists, time is an argument.

    replica.py       what a replay of the journal rebuilds: the engine, and what every principal asked and was told
    kept.py          the last 100,000 of something, found by number
    throttle.py      how fast a principal may ask
    session.py       one connection: what waits for the venue, what waits for the client
    desk.py          the venue's desk: fair turns, idempotency, journal, then answers
    market_data.py   what the public sees

Read `desk.py` first: its `turn` is the way of an order from message to answer. No file here knows a transport.
"""
