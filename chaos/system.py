"""The system file: where things are. The experiment says what, this says where.

Secrets (tokens, header values) are SecretStr: whatever prints or writes a System prints `**********`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, JsonValue, SecretStr, model_validator

from chaos.calendar import Calendar
from chaos.document import Document, read_document
from chaos.errors import InvalidFile
from chaos.protocols import catalogue as protocols
from chaos.protocols.json_path import parse_path
from chaos.strict import Strict, validate
from chaos.units import Share


def http_address(value: str) -> str:
    """The address as it is used. Raises ValueError for what is none."""
    try:
        parts = urlsplit(value)
        scheme, there = parts.scheme, bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket that is left open, a port that is no number
        scheme, there = "", False
    if scheme in ("dns+http", "dns+https"):
        raise ValueError(f"nothing looks {scheme}:// up here; write http:// or https://")
    if scheme not in ("http", "https") or not there:
        shown = "this" if "@" in value else repr(value)  # what stands before an @ may be a password
        raise ValueError(f"{shown} is no address; write something like http://127.0.0.1:9090")
    return value.rstrip("/") if parts.path in ("", "/") else value


def _proxy(value: str) -> str:
    """A proxy may also be behind a unix socket, or be all those behind a name."""
    if value.startswith("http+unix://"):
        if not value.removeprefix("http+unix://").startswith("/"):
            raise ValueError(f"{value!r} is no socket; write http+unix:///PATH, with three slashes")
        return value
    if value.startswith(("dns+http://", "dns+https://")):
        http_address(value.removeprefix("dns+"))
        if urlsplit(value).path in ("", "/") and urlsplit(value).port and "@" not in value:
            return value.rstrip("/")
        raise ValueError(f"this names no proxies; write {value.partition(':')[0]}://NAME:PORT")
    return http_address(value)


Address = Annotated[str, AfterValidator(http_address)]
ProxyAddress = Annotated[str, AfterValidator(_proxy)]
Label = str | int | float | bool
JsonTemplate = dict[str, JsonValue]


def _known_protocol(value: str) -> str:
    known = {"auto", *protocols()}
    if value not in known:
        raise ValueError(f"the protocol {value!r} is unknown; write one of {', '.join(sorted(known))}")
    return value


def _opt_in(value: str) -> str:
    name, equals, wanted = value.partition("=")
    if not (name and equals and wanted):
        raise ValueError(f"{value!r} is no label; write something like chaos.enabled=true")
    return value


def _placeable(value: str | float) -> str | int | float:
    """Queries have it between quotation marks: what ends those would be a part of the query."""
    text = str(value)
    if re.search(r"""["'`\r\n]""", text) or (len(text) - len(text.rstrip("\\"))) % 2:
        raise ValueError(f"{value!r} would end the text that it is placed in; write it without quotation marks")
    return value


def _findable(value: str) -> str:
    if value.startswith("$"):
        parse_path(value)
    return value


Place = Annotated[str, AfterValidator(_findable)]


class Output(Strict):
    """Where the decision is in an answer, if the protocol cannot say."""

    label: Place | None = None
    scores: Place | None = None
    classes: list[Label] = Field(default_factory=list)
    score: Place | None = None
    positive: Label | None = None
    threshold: Share | None = None

    @model_validator(mode="after")
    def _agree(self) -> Output:
        said = [one for one in (self.label, self.scores, self.score) if one is not None]
        if len({one.startswith("$") for one in said}) > 1:
            raise ValueError(
                "some of `label`, `scores` and `score` are $.paths and some are names; write all as $.paths"
            )
        if self.score is not None and self.scores is not None:
            raise ValueError("`score` is one number a row, `scores` one per class; write one of them")
        if self.positive is not None and self.classes and (self.positive not in self.classes or len(self.classes) != 2):
            raise ValueError("`positive` is one of two; write `classes: [OTHER, POSITIVE]` in the order of the scores")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ValueError("a `threshold` of 0% or 100% decides nothing; write something like 50%")
        return self


def _path(value: str) -> str:
    parse_path(value)
    return value


class Input(Strict):
    """What a request asks the model, if the protocol cannot say."""

    features: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list, description="what the features are called, in the order in which a row lists its values"
    )
    rows: Annotated[str, AfterValidator(_path)] | None = Field(
        None, description="the `$.path[*]` into a request's JSON that leads to its rows, each a list or an object"
    )

    @model_validator(mode="after")
    def _once_each(self) -> Input:
        twice = next((name for name in self.features if self.features.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the feature {twice!r} is named twice; write each name once")
        return self


class ProcessSelector(Strict):
    """Local processes: a table on disk (relative to the system file), and the labels that all must match."""

    table: str = Field(examples=["processes.json"])
    labels: dict[str, str] = Field(min_length=1, examples=["{app: loan-model}"])


class DockerSelector(Strict):
    """Containers of a Docker engine, by labels that all must match."""

    labels: dict[str, str] = Field(min_length=1, examples=["{app: loan-model}"])
    host: str | None = None
    tools: str | None = Field(
        None,
        description="an image with `sh`, `iptables` and `tc`, for network faults and crashes where this is not root on the engine's host",
    )


class Target(Strict):
    """One model service: the proxies in front of it, and what it runs in."""

    proxies: list[ProxyAddress] = Field(default_factory=list)
    token: SecretStr = SecretStr("")
    control_ca: str | None = Field(
        None,
        description="certificate authorities for `https://` and `dns+https://` proxies, a file relative to this one; else the usual ones",
    )
    protocol: Annotated[str, AfterValidator(_known_protocol)] = "auto"
    output: Output = Output()
    input: Input = Input()
    placement: Literal["behind gateway", "before gateway", "in monitoring"] = Field(
        "behind gateway",
        description="where the fault proxies stand; `in monitoring`: where only Prometheus or Alertmanager ask, and no user",
    )
    docker: DockerSelector | None = None
    process: ProcessSelector | None = None
    driver: dict[str, JsonValue] | None = None

    @model_validator(mode="after")
    def _one_driver(self) -> Target:
        if sum(said is not None for said in (self.docker, self.process, self.driver)) > 1:
            raise ValueError(
                "a target runs either in `docker:` or in `process:` or in another `driver:`; write one of them"
            )
        said = (self.output.label, self.output.scores, self.output.score)
        if self.protocol == "json" and not any(one is not None and one.startswith("$") for one in said):
            raise ValueError(
                "`protocol: json` knows no place of the decision; write something like `output: {label: '$.rows[*].label'}`"
            )
        if self.driver is not None and not isinstance(self.driver.get("use"), str):
            raise ValueError("`driver:` does not say which; write `driver: {use: NAME, …}`")
        return self

    def runs_in(self) -> tuple[str, dict[str, JsonValue]] | None:
        """The name of the container driver and what it is told; None when the target says nothing of containers."""
        if self.docker is not None:
            return "docker", self.docker.model_dump()
        if self.process is not None:
            return "process", self.process.model_dump()
        if self.driver is not None:
            return str(self.driver["use"]), {name: said for name, said in self.driver.items() if name != "use"}
        return None


class Answer(Strict):
    """Where the entry's answer says what was decided, as `$.paths` into its JSON."""

    decision: str = Field(examples=["$.decision"])
    id: str | None = None


class Request(Strict):
    """How a row becomes a request: `$row.NAME` places a column of the data. `label` and `slice` name columns."""

    json_: JsonTemplate | None = Field(None, alias="json")
    headers: dict[str, str] = Field(default_factory=dict)
    subject: str = "header:x-request-id"
    answer: Answer | None = None
    label: str | None = None
    positive: Label | None = None
    slice_: str | None = Field(None, alias="slice")


class Feedback(Strict):
    """Where true outcomes are posted: `$row.NAME`, `$answer.id` and `$label` are placed."""

    post: Address = Field(examples=["http://127.0.0.1:8080/feedback"])
    json_: JsonTemplate = Field(alias="json", examples=["{id: $answer.id, outcome: $label}"])


class Telemetry(Strict):
    """Where metrics, rules and alerts are."""

    prometheus: Address = Field(examples=["http://127.0.0.1:9090"])
    rules: Address | None = None
    alertmanager: Address | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)


class Receiver(Strict):
    """One receiver of Alertmanager, with the sink that remembers what it got."""

    sink: Address = Field(examples=["http://127.0.0.1:9099"])


class Alerts(Strict):
    """Which alerts are this system's."""

    match: dict[str, str] = Field(default_factory=dict)


def _said(value: str) -> str:
    if not value.strip():
        raise ValueError("nothing is said here; write who allowed it, and why")
    return " ".join(value.split())


Said = Annotated[str, AfterValidator(_said)]


def secret_http(value: SecretStr) -> SecretStr:
    """The address, which no message repeats."""
    try:
        return SecretStr(http_address(value.get_secret_value()))
    except ValueError:
        raise ValueError("this is no address; write something like https://HOST/PATH") from None


class RealUsers(Strict):
    """Law 9: who allowed semantic faults on real people's answers, and why."""

    allowed_by: Said = Field(examples=["NAME"])
    reason: Said = Field(examples=["TEXT"])


class Grafana(Strict):
    """A Grafana that gets an annotation for as long as a fault is on: of one dashboard, or of the whole organisation."""

    url: Address = Field(examples=["https://grafana.example"])
    token: SecretStr = Field(description="of a service account that may write annotations", examples=["TOKEN"])
    dashboard: str | None = Field(
        None, min_length=1, description="the dashboard's uid; else every dashboard can show it"
    )
    panel: int | None = Field(None, ge=1, description="the number of one panel of that dashboard")

    @model_validator(mode="after")
    def _panel_of_something(self) -> Grafana:
        if self.panel is not None and self.dashboard is None:
            raise ValueError("a `panel` is one of a dashboard; write `dashboard: UID`, too")
        return self


class Announce(Strict):
    """Who is told of every run: by webhook before and after, in Grafana while a fault is on. The webhook's address is a secret:
    whoever has it can post there.
    """

    webhook: Annotated[SecretStr, AfterValidator(secret_http)] | None = Field(
        None, examples=["https://chat.example/hooks/…"]
    )
    grafana: Grafana | None = Field(None, examples=["{url: https://grafana.example, token: TOKEN}"])

    @model_validator(mode="after")
    def _somebody(self) -> Announce:
        if self.webhook is None and self.grafana is None:
            raise ValueError("nobody is told; write `webhook:`, `grafana:` or both, or leave `announce:` out")
        return self


class System(Strict):
    """One system file."""

    name: str = Field(examples=["staging"])
    environment: Literal["lab", "staging", "production"] = Field(examples=["staging"])
    opt_in: Annotated[str, AfterValidator(_opt_in)] = "chaos.enabled=true"
    entry: Address | None = None
    request: Request = Request()
    feedback: Feedback | None = None
    data: dict[str, str] = Field(default_factory=dict)
    targets: dict[str, Target] = Field(examples=["{model: {proxies: [http://127.0.0.1:8474]}}"])
    telemetry: Telemetry = Field(examples=["{prometheus: http://127.0.0.1:9090}"])
    alerts: Alerts = Alerts()
    receivers: dict[str, Receiver] = Field(default_factory=dict)
    real_users: RealUsers | None = None
    announce: Announce | None = None
    calendar: Calendar = Calendar()
    variables: dict[str, Annotated[str | int | float, AfterValidator(_placeable)]] = Field(default_factory=dict)

    def opt_in_label(self) -> tuple[str, str]:
        """The label's name and the value it must have before a container is touched."""
        name, _, value = self.opt_in.partition("=")
        return name, value

    def probe_variables(self) -> dict[str, str]:
        """What probes' `$names` become; `window` is 30s unless the file says otherwise."""
        return {"window": "30s", **{name: str(value) for name, value in self.variables.items()}}


def parse_system(text: str, path: str, variables: Mapping[str, str]) -> tuple[System, Document]:
    """The system and the document that it stood in. Raises InvalidFile with every problem."""
    document = read_document(text, path, variables)
    made, problems = validate(document, System, "system")
    if made is None:
        raise InvalidFile(problems)
    return made, document
