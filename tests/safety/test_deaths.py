"""Others die under a run: what is undone, how soon, and what the verdict says of it."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.drivers.loopback import eventually
from tests.safety.stand import LEASE_S, Stand, nothing_left
from tests.safety.test_warden import hurting, verdict_of

pytestmark = [pytest.mark.timeout(120)]

BLIND_S = 3.0
"""A guard that cannot be read for so long is broken."""
PROBE = """\
sky_up:
  query: vector(1)
  unit: ratio
  better: higher
  doc: The sky is where it was.
  sample: {with: {}, series: ['sky 1x10'], at: 5m, gives: 1}
"""
GUARD = "max_duration: 20s, lease: 1s, abort: [{probe: sky_up, min: 50%}],"


def everything_off(stand: Stand, within_s: float) -> None:
    """Nothing is hurt any more, in time."""
    eventually(lambda: not stand.hurt() and not stand.armed(), within_s, f"everything is undone ({stand.left()})")


def test_a_run_whose_fault_proxy_is_killed_undoes_the_rest_and_never_confirms(own_stand: Stand) -> None:
    with hurting(own_stand, "proxy", "kill", "pause") as (process, _run):
        os.kill(own_stand.pids["proxy"], signal.SIGKILL)
        eventually(lambda: not own_stand.hurt(), LEASE_S + 2.0, f"the processes are as before ({own_stand.hurt()})")
        verdict = verdict_of(process)
    assert verdict["verdict"] == "invalid"
    assert "proxy" in json.dumps(verdict["findings"])
    eventually(lambda: not own_stand.children(), 5.0, "no warden is left")


def test_a_run_whose_guards_cannot_be_read_any_more_undoes_everything(own_stand: Stand) -> None:
    (own_stand.folder / "probes").mkdir()
    (own_stand.folder / "probes" / "sky.yaml").write_text(PROBE)
    experiment = own_stand.experiment("proxy", "pause")
    experiment.write_text(
        experiment.read_text()
        .replace("max_duration: 20s, lease: 1s,", GUARD)
        .replace("duration: 1500ms", "duration: 18s")
    )
    process = own_stand.start(experiment)
    try:
        eventually(lambda: own_stand.hurt() and own_stand.armed(), 20, "everything is hurt")
        os.kill(own_stand.pids["prometheus"], signal.SIGKILL)
        everything_off(own_stand, BLIND_S + LEASE_S + 2.0)
        verdict = verdict_of(process)
    finally:
        process.kill()
        process.communicate()
    assert verdict["verdict"] == "aborted"
    assert "cannot be read" in json.dumps(verdict)
    nothing_left(own_stand, 2.0)


def test_a_run_without_guards_whose_prometheus_is_killed_ends_in_time_and_never_confirms(own_stand: Stand) -> None:
    experiment = own_stand.experiment("kill", "pause")  # which would be confirmed
    experiment.write_text(experiment.read_text().replace("duration: 1500ms", "duration: 4s"))
    process = own_stand.start(experiment)
    try:
        eventually(lambda: len(own_stand.hurt()) == 2, 20, "everything is hurt")
        os.kill(own_stand.pids["prometheus"], signal.SIGKILL)
        everything_off(own_stand, 4.0 + LEASE_S + 2.0)
        verdict = verdict_of(process)
    finally:
        process.kill()
        process.communicate()
    assert verdict["verdict"] == "inconclusive"
    assert "no data while the fault was on" in verdict["sentence"]
    nothing_left(own_stand, 2.0)
