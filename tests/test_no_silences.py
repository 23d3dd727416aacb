"""Nothing of ours silences an alert: whoever is paged in a real incident is paged in a run, and a run changes no Alertmanager."""

from __future__ import annotations

import ast
from pathlib import Path

from chaos.drivers.alertmanager import AlertmanagerDriver
from tests.drivers.loopback import Said, serving

PACKAGE = Path(__file__).parents[1] / "chaos"


def calls(tree: ast.AST) -> list[tuple[str, str]]:
    """(what is called, the texts in its arguments) of every call."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            parts = [*node.args, *(word.value for word in node.keywords)]
            texts = [
                one.value
                for part in parts
                for one in ast.walk(part)
                if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            found.append((called, " ".join(texts)))
    return found


def test_silences_are_only_ever_read() -> None:
    asking = [
        (path.name, called)
        for path in PACKAGE.rglob("*.py")
        for called, texts in calls(ast.parse(path.read_text()))
        if "/silence" in texts or "amtool" in texts
    ]
    assert {called for _, called in asking} <= {"_get", "which", "Path"}, asking
    assert ("alertmanager.py", "_get") in asking


def test_the_client_of_alertmanager_only_reads() -> None:
    with serving(lambda _: Said(200, b"[]")) as here:
        driver = AlertmanagerDriver(here.url)
        driver.silences()
        driver.active_silences()
    assert {asked.method for asked in here.asked} == {"GET"}
    source = (PACKAGE / "drivers" / "alertmanager.py").read_text()
    assert not any(f'"{method}"' in source for method in ("POST", "PUT", "PATCH", "DELETE"))
