"""The load of a run: which rows it sends, with which faults of its own, and whether those faults can happen with them. Wiring."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chaos.app.files import Loaded, data_path
from chaos.plans import Plan

if TYPE_CHECKING:
    from chaos.drivers.load import LoadPlan


def with_data(made: Plan, loaded: Loaded) -> Plan:
    """The plan, which refuses faults of the load that cannot happen with the load's rows. Raises InvalidFile when there are none."""
    from chaos.drivers.load.arrivals import read_rows
    from chaos.drivers.load.faults import unfit
    from chaos.faults.loads import Population

    faults = load_faults(made)
    if not faults:
        return made
    try:
        rows = read_rows(str(data_path(loaded)))
    except (OSError, ValueError) as error:
        return replace(made, refusals=(*made.refusals, f"the load's data cannot be read: {error}"))
    request = loaded.system.request
    refused = unfit(faults.values(), Population(rows, request.label, request.positive))
    return replace(made, refusals=(*made.refusals, *refused))


def load_faults(made: Plan) -> dict[str, str]:
    """The faults that the run's own load performs: index, as text → the fault's JSON."""
    return {str(effect.fault_index): effect.fault_json or "" for effect in made.effects if effect.kind == "load"}


def load_plan(loaded: Loaded, made: Plan, run_id: str, key: str) -> LoadPlan | None:
    """The load's own plan, or None when the experiment has none. Raises InvalidFile when its data cannot be found."""
    from chaos.drivers.load import LoadPlan
    from chaos.drivers.load.plan import FeedbackPlan

    planned, system = made.load, loaded.system
    if planned is None or system.entry is None:
        return None
    feedback = None
    if planned.feedback_after_s is not None and system.feedback is not None:
        feedback = FeedbackPlan(
            system.feedback.post, system.feedback.json_, planned.feedback_after_s, planned.feedback_share
        )
    request = system.request
    return LoadPlan(
        url=system.entry,
        rate_per_s=planned.rate_per_s,
        data=str(data_path(loaded)),
        run=run_id,
        seed=made.seed,
        traffic=made.traffic if made.divides() else 0.0,
        by=made.subject_by,
        where=made.where,
        request_json=request.json_,
        request_headers=request.headers,
        synthetic_key=key,
        decision_path=request.answer.decision if request.answer else None,
        id_path=request.answer.id if request.answer else None,
        label_column=request.label,
        positive=request.positive,
        slice_column=request.slice_,
        feedback=feedback,
        returning=planned.returning,
        limit=planned.limit,
        faults=load_faults(made),
    )
