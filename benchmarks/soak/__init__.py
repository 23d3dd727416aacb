"""Whether the fault proxy stays what it is for hours: `python -m benchmarks.soak`, or `make soak`.

clients of all kinds ─▶ proxy, armed and disarmed again and again ─▶ backend that also misbehaves
                          └▶ memory, descriptors, tasks: samples ─▶ trends ─▶ exit code
"""
