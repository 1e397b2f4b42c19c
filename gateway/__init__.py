"""Doors into the exchange: they map clients' ids and texts to commands, and events back. No market rule lives here.

`files.py` is the door for files (`emex match`), everything else the message gateway (`emex serve`): README.md says what
it promises; read `desk/desk.py` first, then `serve.py`.
"""
