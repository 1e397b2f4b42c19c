"""From a rulebook's name to a running engine: the one place where the two engines are chosen between."""

from engine.errors import EmexError
from engine.exchange import Exchange
from engine.reference import ReferenceExchange
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import Rulebook, find_rulebook

ENGINES = ("fast", "reference")


def open_venue(rules: str, engine: str = "fast") -> tuple[Rulebook, Exchange | ReferenceExchange]:
    """A rulebook by name or path, and an engine under it. Raises `EmexError` on an unknown name."""
    book = find_rulebook(rules)
    return book, open_engine(book, engine)


def open_engine(book: Rulebook, engine: str = "fast") -> Exchange | ReferenceExchange:
    """An engine under a rulebook that has been read. Raises `EmexError` on an unknown name."""
    if engine not in ENGINES:
        message = f"engine: got {engine!r}, expected one of {', '.join(ENGINES)}"
        raise EmexError(message)
    compiled = compile_rulebook(book)
    return Exchange(compiled) if engine == "fast" else ReferenceExchange(compiled)
