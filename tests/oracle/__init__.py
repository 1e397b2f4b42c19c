"""The fast engine equals the readable one."""
