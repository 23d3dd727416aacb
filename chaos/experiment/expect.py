"""What must break, what must survive, and who must be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, StrictBool, model_validator

from chaos.strict import Strict
from chaos.units import Duration


class ExpectedAlert(Strict):
    """One alert that must tell.

    `via: sink`: Prometheus does not know it (Grafana's, a gateway's, a vendor's), so that only its receiver can tell.
    """

    alert: str = Field(examples=["ModelAccuracyLow"])
    labels: dict[str, str] = Field(default_factory=dict)
    within: Duration | None = None
    delivered_to: str | None = None
    resolved_within: Duration | None = None
    via: Literal["prometheus", "sink"] = "prometheus"

    @model_validator(mode="after")
    def _heard_somewhere(self) -> ExpectedAlert:
        if self.via == "sink" and self.delivered_to is None:
            raise ValueError("`via: sink` needs to know which receiver hears of it; write `delivered_to: NAME`")
        return self


class Expect(Strict):
    """What must break, what must survive, and who must be told.

    `telemetry: shadow` says that `harms` and `alerts` read the telemetry of the shadow's consumer, and not the service's own.
    `judge: projected` asks what the alerts would have done had everybody been hurt, from what the arms showed.
    """

    telemetry: Literal["live", "shadow"] = "live"
    harms: list[str] = Field(default_factory=list)
    holds: list[str] | None = None
    alerts: list[ExpectedAlert] = Field(default_factory=list)
    quiet: StrictBool | list[str] = False
    control: Literal["unharmed"] | None = None
    arms: Literal["held"] | None = None
    judge: Literal["live", "projected"] = "live"
