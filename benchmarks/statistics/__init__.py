"""Certifies the comparisons of `chaos.statistics` by simulation: `python -m benchmarks.statistics` writes docs/detection.md's tables."""
