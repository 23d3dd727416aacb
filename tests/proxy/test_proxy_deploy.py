"""What operators are given: manifests whose flags the proxy takes and whose names fit each other, and a page that leaves nothing out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from chaos.experiment import link, parse
from chaos.probe import merge
from chaos.proxy.__main__ import parser
from chaos.proxy.counters import Counters
from chaos.proxy.process import parse_control, parse_route
from chaos.proxy.workers import Workers
from chaos.system import parse_system

ROOT = Path(__file__).parents[2]
KUBERNETES = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    """Every document of the file."""
    return [one for one in yaml.safe_load_all(path.read_text()) if one is not None]


def found(within: Any, key: str) -> list[Any]:
    """Every value of the key, wherever it is."""
    if isinstance(within, list):
        return [one for part in within for one in found(part, key)]
    if not isinstance(within, dict):
        return []
    return [value for name, value in within.items() if name == key] + found(list(within.values()), key)


def proxies() -> list[tuple[str, dict[str, Any]]]:
    """Every container of the proxy, with its file."""
    return [
        (path.name, container)
        for path in KUBERNETES
        for containers in found(documents(path), "containers")
        for container in containers
        if "chaos-proxy" in container["image"]
    ]


def resource(kind: str, file: str, place: int = 0) -> dict[str, Any]:
    """The resource of this kind in the file."""
    return [one for one in documents(ROOT / "deploy" / "kubernetes" / file) if one["kind"] == kind][place]


def pods_of(one: dict[str, Any]) -> list[dict[str, Any]]:
    """The pods that KServe makes of a service of its own: it takes their fields as they are, beside its own ones."""
    own = {"model", "minReplicas", "maxReplicas", "canaryTrafficPercent"}
    parts = [part for part in one["spec"].values() if "containers" in part]
    specs = [{name: value for name, value in part.items() if name not in own} for part in parts]
    return [{"apiVersion": "v1", "kind": "Pod", "metadata": one["metadata"], "spec": spec} for spec in specs]


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_every_manifest_is_what_kubernetes_publishes_of_its_kind_and_has_no_key_that_it_does_not_know(
    path: Path,
) -> None:
    for one in documents(path):
        for resource in pods_of(one) if one["kind"] == "InferenceService" else [one]:
            kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)
    broken = {**documents(path)[-1], "speck": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, kubernetes_validate.latest_version(), strict=True)


def test_every_manifest_names_what_it_is() -> None:
    assert len(KUBERNETES) == 4
    for path in KUBERNETES:
        for one in documents(path):
            assert one["apiVersion"]
            assert one["kind"]
            assert one["metadata"]["name"]


@pytest.mark.parametrize(("file", "container"), proxies())
def test_the_proxys_flags_are_flags_and_its_ports_are_those_of_its_routes(file: str, container: dict[str, Any]) -> None:
    given = parser().parse_args(container["args"])
    route = parse_route(given.route[0])
    assert route.listen[1] in {port["containerPort"] for port in container["ports"]}
    assert parse_control(given.control).port == 8474
    assert given.token_file.parent == Path(container["volumeMounts"][0]["mountPath"])
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_compose_gives_the_proxy_flags_that_it_takes_and_shows_its_control_to_this_machine_alone() -> None:
    services = documents(ROOT / "deploy" / "compose.yaml")[0]["services"]
    given = parser().parse_args(services["fault-proxy"]["command"])
    assert {parse_route(text).upstream.host for text in given.route} <= set(services)
    assert services["fault-proxy"]["ports"] == ["127.0.0.1:8474:8474"]


def test_the_headless_service_selects_the_pods_and_is_what_the_runner_looks_up() -> None:
    pods = resource("Deployment", "sidecar.yaml")["spec"]["template"]["metadata"]["labels"]
    service = resource("Service", "sidecar.yaml", 1)
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"].items() <= pods.items()
    made, _ = parse_system(resource("ConfigMap", "runner.yaml")["data"]["system.yaml"], "s", {"CHAOS_PROXY_TOKEN": "t"})
    [address] = made.targets["loan-model"].proxies
    assert address == f"dns+http://{service['metadata']['name']}.staging:8474"


def test_only_the_runner_and_prometheus_are_admitted_to_the_control_port() -> None:
    policies = documents(ROOT / "deploy" / "kubernetes" / "networkpolicy.yaml")
    runner = resource("CronJob", "runner.yaml")["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    for policy in policies:
        control = [rule for rule in policy["spec"]["ingress"] if 8474 in [port["port"] for port in rule["ports"]]]
        assert len(control) == 1
        assert control[0]["from"][0]["podSelector"]["matchLabels"] == runner
        assert len(control[0]["from"]) == 2


def test_pods_whose_control_port_is_open_to_others_are_selected_by_a_policy() -> None:
    policies = [
        one["spec"]["podSelector"]["matchLabels"] for one in documents(ROOT / "deploy/kubernetes/networkpolicy.yaml")
    ]
    pods = resource("Deployment", "sidecar.yaml")["spec"]["template"]["metadata"]["labels"]
    # KServe labels its pods by the service's name, and replaces an `app` of ours.
    kserve = {"serving.kserve.io/inferenceservice": resource("InferenceService", "kserve.yaml")["metadata"]["name"]}
    for labels in (pods, kserve):
        assert any(selector.items() <= labels.items() for selector in policies)
    assert {file for file, one in proxies() if any("--control=0.0.0.0" in arg for arg in one["args"])} == {
        "sidecar.yaml", "kserve.yaml",
    }  # fmt: skip


def test_the_runners_experiment_is_there_and_fits_its_system() -> None:
    files = resource("ConfigMap", "runner.yaml")["data"]
    job = resource("CronJob", "runner.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    named = [arg.removeprefix("/experiments/") for arg in job["args"] if arg.startswith("/experiments/")]
    assert set(named) <= set(files)
    [state] = [one["value"] for one in job["env"] if one["name"] == "CHAOS_STATE"]
    assert [one.get("readOnly", False) for one in job["volumeMounts"] if state.startswith(f"{one['mountPath']}/")] == [
        False
    ]
    system, _ = parse_system(files["system.yaml"], "system.yaml", {"CHAOS_PROXY_TOKEN": "0123456789abcdef"})
    experiment, document = parse(files["experiment.yaml"], "experiment.yaml", {})
    probes = merge({str(path): path.read_text() for path in (ROOT / "probes").glob("*.yaml")})
    assert link(experiment, document, system, probes) == []
    assert set(system.data.values()) <= set(files)


def test_the_image_has_everything_that_the_proxy_imports_and_nothing_else() -> None:
    program = (
        "import importlib.metadata as m, json, sys, chaos.proxy.__main__, chaos.proxy.worker\n"
        "import aiohttp, chaos.protocols.oip, chaos.proxy.grpc.plane  # for shadows, answers, HTTP/2: loaded once they come\n"
        "tops = {name.split('.')[0] for name in sys.modules}\n"
        "known = m.packages_distributions()\n"
        "print(json.dumps(sorted({one.lower() for top in tops for one in known.get(top, [])})))"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=ROOT, timeout=60)
    imported = set(json.loads(said.stdout))
    lines = (ROOT / "deploy" / "requirements-proxy.txt").read_text().splitlines()
    wanted = {re.split(r"[><=]", line)[0] for line in lines if line and not line.startswith("#")}
    assert wanted - {"uvloop"} <= imported  # uvloop is imported once it runs
    # What those bring along, and what every environment has.
    brought = {
        "aiohappyeyeballs", "aiosignal", "attrs", "frozenlist", "multidict", "propcache", "yarl", "idna",
        "annotated-types", "pydantic_core", "typing-inspection", "typing_extensions", "hpack", "hyperframe",
    }  # fmt: skip
    optional = {"brotli", "setuptools", "chaos-ml", "aiodns", "zstandard"}
    assert imported - wanted - brought - optional == set()


def test_the_page_has_every_flag_and_every_metric() -> None:
    page = (ROOT / "docs" / "proxy.md").read_text()
    flags = {flag for action in parser()._actions for flag in action.option_strings if flag not in ("-h", "--help")}
    assert {flag for flag in flags if f"`{flag}" not in page} == set()
    workers = Workers(2, {}, None, None, None)  # type: ignore[arg-type]
    text = Counters().text(armed=False, expiries=0) + workers.metrics()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {name for name in names if f"`{name}" not in page} == set()
