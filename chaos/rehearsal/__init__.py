"""An experiment's questions in virtual time: telemetry altered as the fault would, judged by Prometheus' own engine. Pure."""
