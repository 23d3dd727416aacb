"""What was found running, as values. The looking is done by `chaos.app.looking`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chaos.routes import Route
from chaos.telemetry import RuleInfo


@dataclass(frozen=True, slots=True)
class Metric:
    """What a target declares of a metric: `counter`, `gauge`, `histogram` or `summary`, and its help text."""

    type: str = ""
    help: str = ""


@dataclass(frozen=True, slots=True)
class ProxySeen:
    """One fault proxy that answers: its control address, its version, the names of its routes that have had requests."""

    address: str
    version: str = ""
    routes: tuple[str, ...] = ()
    in_monitoring: bool = False


SERVING = ("model", "predict", "infer", "triton", "mlserver", "vllm", "kserve", "torchserve", "llm", "mlflow", "score")


@dataclass(frozen=True, slots=True)
class ContainersFound:
    """Containers of a Docker engine that share one label, and how many of them carry the opt-in."""

    label: tuple[str, str]
    names: tuple[str, ...]
    opted_in: int = 0

    @property
    def serves(self) -> bool:
        """Whether the label's value sounds like something that serves a model."""
        return any(word in self.label[1].lower() for word in SERVING)


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was found. `looked` says what was asked and what came of it, one sentence each."""

    prometheus: str
    alertmanager: str | None = None
    scrape_s: float = 15.0
    evaluation_s: float = 15.0
    rules: tuple[RuleInfo, ...] = ()
    values: Mapping[int, float] = field(default_factory=dict)
    """Index of a rule → what its left side reads now, where that is one number."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    jobs: Mapping[str, int] = field(default_factory=dict)
    """Scrape job → how many targets it has."""
    route: Route | None = None
    integrations: Mapping[str, bool] = field(default_factory=dict)
    proxies: tuple[ProxySeen, ...] = ()
    containers: tuple[ContainersFound, ...] = ()
    sinks: Mapping[str, str] = field(default_factory=dict)
    """Receiver → the sink that hears what it is told."""
    looked: tuple[str, ...] = ()

    def metric(self, name: str) -> Metric:
        """What is declared of this series' family; an empty Metric when nobody says."""
        for end in ("", "_total", "_bucket", "_count", "_sum"):
            family = name.removesuffix(end)
            if family in self.metrics:
                return self.metrics[family]
        return Metric()
