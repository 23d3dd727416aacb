"""The run's own traffic."""

from __future__ import annotations

from pydantic import Field

from chaos.strict import Strict
from chaos.units import Count, Duration, Rate, Share


class LoadFeedback(Strict):
    """Labels come late and incomplete, as in production."""

    after: Duration = 2.0
    share: Share = 1.0


class Load(Strict):
    """The run's own traffic: open loop at this rate, from labelled rows."""

    rate: Rate = Field(examples=["40/s"])
    data: str = Field(examples=["lab:applications"])
    feedback: LoadFeedback | None = None
    returning: Share = 0.0
    warmup: Duration = 10.0
    limit: Count | None = None
