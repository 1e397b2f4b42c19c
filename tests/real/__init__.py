"""Checks against recorded data beside the checkout; skipped with a visible reason where it is absent."""
