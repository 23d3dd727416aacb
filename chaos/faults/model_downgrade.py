"""model_downgrade: another model answers than the one that was asked for.

In real life: a provider's fallback under load, an alias that moved to a smaller model, a router that saves money. Everything works,
somewhat worse; the `model` field of the answers says so, to whoever compares it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from chaos.faults.answer_documents import wholes
from chaos.faults.base import Action, Call, Example, Fault, Redirect
from chaos.json_places import Address
from chaos.units import format_share


class ModelDowngrade(Fault):
    """Selected requests go to another model's address, or selected answers say another model's name, or both."""

    acts_on = "request"
    works_on = "text"
    semantic = True
    changes_bytes = True
    edits_documents = True
    family = "language models"
    must = "answered model against the one that was asked for"
    quiet = "request error rate"
    examples: ClassVar = (
        Example(
            "{fault: model_downgrade, target: assistant, model: assistant-mini, duration: 60s}",
            does="100% of the treatment arm's requests to assistant are answered in the name of assistant-mini",
        ),
        Example(
            "{fault: model_downgrade, target: assistant, to: 'http://127.0.0.1:8081', duration: 60s}",
            does="100% of the treatment arm's requests to assistant are answered by http://127.0.0.1:8081",
        ),
        Example("{fault: model_downgrade, target: assistant, duration: 60s}", refused="write `model: NAME`"),
        Example("{fault: model_downgrade, target: assistant, to: mini, duration: 60s}", refused="write http://HOST:PORT"),
    )  # fmt: skip

    fault: Literal["model_downgrade"] = "model_downgrade"
    model: str | None = Field(None, description="the name that answers give", min_length=1, max_length=200)
    to: str | None = Field(None, description="the address of the other model, as the proxy reaches it")

    @field_validator("to")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            good = parts.scheme == "http" and bool(parts.hostname) and bool(parts.port) and "@" not in parts.netloc
        except ValueError:  # a port that is no number
            good = False
        if not good or value != f"http://{parts.netloc}" or not value.isprintable() or " " in value:
            raise ValueError(f"{value!r} is no address; write http://HOST:PORT")
        return value

    @model_validator(mode="after")
    def _something(self) -> ModelDowngrade:
        if self.model is None and self.to is None:
            raise ValueError("nothing would change; write `model: NAME`, `to: http://HOST:PORT`, or both")
        return self

    def explain(self) -> str:
        """One plain sentence."""
        how = [f"by {self.to}"] if self.to is not None else []
        how += [f"in the name of {self.model}"] if self.model is not None else []
        whose = f"{format_share(self.share)} of the treatment arm's requests to {self.target}"
        return f"{whose} are answered {' '.join(how)}"

    def act(self, call: Call) -> Iterator[Action]:  # noqa: ARG002
        """The other model is asked, where there is an address."""
        if self.to is not None:
            yield Redirect(self.to)

    def edit_document(self, document: object, call: Call) -> Mapping[Address, object]:  # noqa: ARG002
        """The name, wherever the answer says one."""
        if self.model is None:
            return {}
        return {
            (*address, "model"): self.model
            for address, whole in wholes(document)
            if isinstance(whole.get("model"), str)
        }
