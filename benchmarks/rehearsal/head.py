"""The words of docs/rehearsal.md: what does not come from a measurement."""

from __future__ import annotations

HEAD = """\
# Rehearsal: what would fire, when, and from which severity on

`chaos rehearse experiment.yaml` answers an experiment's questions in virtual time. Nothing is hurt, and with a run's
folder no system is needed. This page is made by `python -m benchmarks.rehearsal` from stored results.

## What it does

1. **It takes telemetry.** Every run keeps what alerting rules read, sample by sample, in `telemetry.jsonl.gz` of its folder. `chaos
   rehearse` takes the newest run of the experiment (`--run FOLDER` another one). Without a run, or with `--model`, it records the past
   hour of the live Prometheus and moves events as the fault states it (`--over` takes more).
2. **It makes scenarios.** Counters and histograms add up over traffic. So at a severity x an event of the baseline is kept with
   probability 1 - x, and one of the fault comes with x. The baseline is drawn anew in blocks; the fault's course keeps its order and
   gets other chance, of twice the variance: the run that was recorded was a draw, and the one to come is another.
3. **It asks Prometheus.** All scenarios lie side by side in the store of a throw-away Prometheus, whose own engine evaluates the rules'
   expressions at their own pace. `for` and `keep_firing_for` are played over that as Prometheus does.
4. **It says what that means**: for each alert and severity how often it is told in time, after how long, and from which severity on. A
   chance of 90 % is claimed from 200 scenarios on (`--scenarios 200`).

## What it cannot know

- **More than was measured.** A run at 50 % of traffic says nothing of 80 %; the report says so and stops at 50 %.
- **What saturates.** Queues, retries, caches and circuit breakers do not mix in proportion. The recorded severity is right; what lies
  below it is a statement. Run the experiment at the severity that matters.
- **Gauges** do not add up over traffic. They are mixed in proportion, and the report names those that the fault moves.
- **What came later.** A fault ends when every alert has told, so its recording may be shorter than the experiment allows. What comes
  after is its later half, again and again; the report says so. A drift that would have gone on does not.
- **Other weather.** The baseline is drawn from what was recorded. Ten seconds of it know of no Monday morning; `--model --over 24h`
  knows more.
- **Labels made by templates** (`{{ $value }}` in a rule's labels) and what Alertmanager does with an alert: silences, inhibition,
  routes, group waits. A rehearsal ends at *firing*.
- **The calendar.** Scenarios begin whole weeks before their recording, one after the other; rules with `hour()` see other times of day.
"""
