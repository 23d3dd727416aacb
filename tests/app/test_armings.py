"""What a run arms its proxies with: what the system file says of the target, in the words that a proxy takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chaos.app.armings import held_proxies
from chaos.app.files import Loaded
from chaos.app.running import Prepared
from chaos.app.surveyor import drivers_of
from chaos.experiment import parse
from chaos.proxy.arming import parse_arming
from tests.values import EXPERIMENT, SYSTEM, edited, planned, probes, system

ONE_UNIT = (
    "  - fault: wrong_predictions\n    target: loan-model\n    duration: 60s",
    "  - {fault: missing_feature, target: loan-model, feature: income, as: default, default: 0, duration: 60s}",
)


def armed_with(tmp_path: Path, *edits: tuple[str, str]) -> dict[str, Any]:
    """The body of the arming with the experiment's fault, for the edited system."""
    text = edited(EXPERIMENT, ONE_UNIT)
    experiment, document = parse(text, "experiment.yaml", {})
    where, of = tmp_path / "system.yaml", system(*edits)
    where.write_text(edited(SYSTEM, *edits))
    loaded = Loaded(experiment, document, text, tmp_path / "experiment.yaml", of, where, probes())
    drawn = planned(ONE_UNIT, of=of)
    proxies = held_proxies(Prepared(loaded, drawn, drivers_of(of, tmp_path), "{}"), "run", "5a" * 16)["loan-model"]
    return proxies.arming({effect.fault_index or 0: effect.fault_json or "" for effect in drawn.faults()}, 0.0).body


def test_a_proxy_hears_what_features_are_called_and_which_fault_acts_on_one(tmp_path: Path) -> None:
    body = armed_with(
        tmp_path, ("    process:", "    input: {features: [age, income], rows: '$.rows[*]'}\n    process:")
    )
    taken, problems = parse_arming(body), list[str]()
    assert (taken.input.names().features, taken.input.names().rows) == (("age", "income"), "$.rows[*]")
    (fault,) = [one.built(problems) for one in taken.faults]
    assert problems == []
    assert fault is not None
    assert fault.model_dump()["as"] == "default"


def test_a_proxy_that_knows_nothing_of_features_is_told_nothing_where_the_system_file_says_nothing(
    tmp_path: Path,
) -> None:
    assert "input" not in armed_with(tmp_path)
