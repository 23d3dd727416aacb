"""What must break, what must survive, and who must be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, StrictBool

from chaos.strict import Strict
from chaos.units import Duration


class ExpectedAlert(Strict):
    """One alert that must tell."""

    alert: str = Field(examples=["ModelAccuracyLow"])
    labels: dict[str, str] = Field(default_factory=dict)
    within: Duration | None = None
    delivered_to: str | None = None
    resolved_within: Duration | None = None


class Expect(Strict):
    """What must break, what must survive, and who must be told.

    `telemetry: shadow` says that `harms` and `alerts` read the telemetry of the shadow's consumer, and not the service's own.
    """

    telemetry: Literal["live", "shadow"] = "live"
    harms: list[str] = Field(default_factory=list)
    holds: list[str] | None = None
    alerts: list[ExpectedAlert] = Field(default_factory=list)
    quiet: StrictBool | list[str] = False
    control: Literal["unharmed"] | None = None
    arms: Literal["held"] | None = None
