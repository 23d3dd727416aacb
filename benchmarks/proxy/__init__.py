"""What the fault proxy costs, next to its peers, in interleaved runs on one machine: `python -m benchmarks.proxy`.

load (core A) ─▶ peer (core B) ─▶ backend (core A)        runs ─▶ results/DATE.json ─▶ docs/benchmarks.md, .svg
"""
