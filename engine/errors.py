"""What an operator can do wrong. A participant's mistake is never an exception: it is a REJECTED event."""


class EmexError(Exception):
    """Base of all errors that are shown to a user as one line, without a traceback."""


class RulebookError(EmexError):
    """A rulebook that cannot be loaded; names file, key, value and what was expected."""


class OrderFileError(EmexError):
    """A file of commands that cannot be read; names file, line, column, value and what was expected."""


class ScenarioError(EmexError):
    """A scenario that cannot be loaded; names file, key, value and what was expected."""
