"""Short programs to copy from: a market maker, a notebook, a stranger without emex, an instructor.

Each is run against a venue that listens (`emex serve`) and is tested as it stands in `tests/interop/test_examples.py`.
They may print; nothing imports them.
"""
