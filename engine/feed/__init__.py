"""What the public sees, derived from events alone: never by looking into the book."""
