"""What must break, what must survive, and who must be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, StrictBool, model_validator

from chaos.strict import Strict
from chaos.units import Duration


class ExpectedAlert(Strict):
    """One alert that must tell.

    `via: sink`: Prometheus does not know it (Grafana's, a gateway's, a vendor's), so that only its receiver can tell.
    `via: silence`: a dead man's switch. Its receiver hears it again and again, and takes a silence of `silent_for` for the alarm.
    """

    alert: str = Field(examples=["ModelAccuracyLow"])
    labels: dict[str, str] = Field(default_factory=dict)
    within: Duration | None = None
    delivered_to: str | None = None
    resolved_within: Duration | None = None
    via: Literal["prometheus", "sink", "silence"] = "prometheus"
    silent_for: Duration | None = Field(None, examples=["30s"])

    @model_validator(mode="after")
    def _heard_somewhere(self) -> ExpectedAlert:
        if self.via == "sink" and self.delivered_to is None:
            raise ValueError("`via: sink` needs to know which receiver hears of it; write `delivered_to: NAME`")
        if self.via == "silence" and self.delivered_to is None:
            raise ValueError("`via: silence` needs to know which receiver hears it no more; write `delivered_to: NAME`")
        if self.via == "silence" and not self.silent_for:
            raise ValueError("`via: silence` needs to know how long a silence is the alarm; write `silent_for: 30s`")
        if self.via != "silence" and self.silent_for is not None:
            raise ValueError(
                "`silent_for` is how long a dead man's switch waits; write `via: silence`, or leave it out"
            )
        return self


Watcher = Literal["prometheus", "alertmanager"]


class Expect(Strict):
    """What must break, what must survive, and who must be told.

    `telemetry: shadow` says that `harms` and `alerts` read the telemetry of the shadow's consumer, and not the service's own.
    `judge: projected` asks what the alerts would have done had everybody been hurt, from what the arms showed.
    `breaks` names what of monitoring the faults are meant to break: that it does not answer makes no run invalid.
    """

    telemetry: Literal["live", "shadow"] = "live"
    harms: list[str] = Field(default_factory=list)
    holds: list[str] | None = None
    alerts: list[ExpectedAlert] = Field(default_factory=list)
    quiet: StrictBool | list[str] = False
    control: Literal["unharmed"] | None = None
    arms: Literal["held"] | None = None
    judge: Literal["live", "projected"] = "live"
    breaks: list[Watcher] = Field(default_factory=list, examples=["[alertmanager]"])
