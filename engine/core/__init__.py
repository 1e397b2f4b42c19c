"""Compiled kernels and nothing else: integers and arrays in, integers out. May import codes, records and jit only."""
