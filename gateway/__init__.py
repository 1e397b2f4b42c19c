"""Doors into the exchange: they map clients' ids and texts to commands, and events back. No market rule lives here.

`files.py` is the door for files (`emex match`). The message gateway will stand beside it.
"""
