"""Benchmarks: seeded episodes run in worker processes, judged by the world, reported with intervals."""
