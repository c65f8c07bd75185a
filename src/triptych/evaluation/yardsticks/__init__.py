"""Benchmarks of others, in folders that the user has downloaded, scored by their published protocol."""
