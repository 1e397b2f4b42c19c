"""A market's law as data: TOML with a source beside every value, validated, compiled to rows of integers."""
