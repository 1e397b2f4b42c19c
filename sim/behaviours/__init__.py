"""One behaviour a file. Each turns draws, public information and a firm's own books into decisions or commands.

No behaviour may know a recorded figure, a month, or a date that has not been announced.
"""
