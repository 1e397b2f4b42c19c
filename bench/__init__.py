"""How fast it is, measured (`emex bench`). May import every other package; only the command imports it."""
