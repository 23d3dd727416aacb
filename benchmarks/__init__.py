"""What is measured by hand, not by the tests: `python -m benchmarks.NAME`."""
