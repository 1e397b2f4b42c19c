"""The venue's memory: what was asked, durable before it is answered. It knows bytes, not markets.

    store.py       the journal: SQLite, one row per group commit, checksum and hash chain
    witness.py     a side file that notices a lost tail
    disk.py        what both ask of the file system
    snapshots.py   a cache of the state, so that a start is quick
    errors.py      what can go wrong

Only `gateway.recovery` and `gateway.serve` use it.
"""
