"""Hostile input at three places: the codec, the desk, the sockets. See `corpus.py` for what is sent."""
