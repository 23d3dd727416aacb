"""How fast the off-switch is: from a guard's breach, `chaos stop` and Ctrl-C to the last undo. `python -m benchmarks.offswitch`."""
