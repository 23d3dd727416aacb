"""A system file as others may read it. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from chaos.drivers.http import without_secrets
from chaos.system import System


def redacted(system: System) -> str:
    """The system file as a run's folder keeps it: no header's value, no setting of another's driver, no login of an address."""
    hidden = "**********"

    def without_logins(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without_logins(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [without_logins(inner) for inner in value]
        return without_secrets(value) if isinstance(value, str) else value

    found = without_logins(json.loads(system.model_dump_json(by_alias=True)))  # tokens are hidden by their type
    headers = found["request"]["headers"]
    for name, value in headers.items():
        headers[name] = value if re.fullmatch(r"\$row\.\w+", value) else hidden
    for target in found["targets"].values():
        if target["driver"] is not None:
            target["driver"] = {name: said if name == "use" else hidden for name, said in target["driver"].items()}
    return yaml.safe_dump(found, sort_keys=False)
