"""What can go wrong with a journal.

    JournalError
    ├ JournalDamagedError   it is not what was written; nothing is replayed
    └ JournalFailedError    a commit could not be made durable; nothing more is taken

All are shown to an operator as one line.
"""

from engine.errors import EmexError


class JournalError(EmexError):
    """A journal that cannot be opened or used; names the file and what was expected."""


class JournalDamagedError(JournalError):
    """A journal that is not what was written; names the file, the commit and its first record."""


class JournalFailedError(JournalError):
    """A commit could not be made durable. What the disk holds is unknown until the journal is opened again."""
