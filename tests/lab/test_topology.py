"""What the lab is told: every part gets its place, only replicas may be hurt, and the real programs accept the files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from chaos.drivers.load.arrivals import read_rows
from chaos.drivers.load.template import fill
from chaos.errors import MissingTool
from chaos.lab import assistant, compose, dataset, monitoring, topology
from chaos.lab.monitoring import Tools
from chaos.lab.processes import HEALTH
from chaos.routes import parse_alertmanager_config
from chaos.system import parse_system

PLACES = {name: f"127.0.0.1:{9000 + place}" for place, name in enumerate(topology.PORTS)}
NAMED = {
    "python": "python3",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
    "data": "/data",
    "model": "/model.pickle",
    "old-model": "/old-model.pickle",
}


def argv(service: str) -> list[str]:
    return topology.arguments(service, PLACES, PLACES, "/state", NAMED)


def test_only_replicas_carry_the_opt_in() -> None:
    opted_in = {name for name in topology.SERVICES if topology.labels(name, "lab").get("chaos.enabled") == "true"}
    assert opted_in == set(topology.REPLICAS)
    assert all(topology.labels(name, "mine")["chaos.lab"] == "mine" for name in topology.SERVICES)


def test_only_replicas_in_a_container_say_what_it_uses() -> None:
    contained = {**NAMED, "container": "/scratch"}
    said = {name: topology.arguments(name, PLACES, PLACES, "/state", contained) for name in topology.SERVICES}
    assert {name for name, argv in said.items() if argv[-2:] == ["--container", "/scratch"]} == set(topology.REPLICAS)
    assert not any("--container" in argv(name) for name in topology.SERVICES)


def test_every_service_listens_where_the_others_look_for_it() -> None:
    for name in topology.SERVICES:
        proxies = {proxy: f"{proxy}-route" for proxy in (*topology.MONITORED, "llm-proxy")}
        listens = {"fault-proxy": "control", **proxies}.get(name, name)
        assert any(PLACES[listens] in word for word in argv(name)), name
    proxy = " ".join(argv("fault-proxy"))
    for place, replica in enumerate(topology.REPLICAS, 1):
        assert f"{PLACES[f'route-{place}']}>{PLACES[replica]}" in proxy
        assert f"http://{PLACES[f'route-{place}']}" in argv("gateway"), "the gateway asks through the proxy"


def test_monitoring_asks_and_tells_through_fault_proxies_of_its_own() -> None:
    for name, behind in topology.MONITORED.items():
        said = " ".join(argv(name))
        assert f"{PLACES[f'{name}-route']}>{PLACES[behind]}" in said
        assert f"--control {PLACES[f'{name}-control']}" in said
    scraped = yaml.safe_load(topology.prometheus_yml(PLACES, "/state"))["scrape_configs"]
    (gateway,) = (job for job in scraped if job["job_name"] == "loan-gateway")
    assert gateway["static_configs"] == [{"targets": [PLACES["scrape-proxy-route"]]}]
    (oncall,) = yaml.safe_load(topology.alertmanager_yml(PLACES))["receivers"]
    assert oncall["webhook_configs"][0]["url"] == f"http://{PLACES['webhook-proxy-route']}/"


def test_the_older_model_is_asked_by_nobody_and_says_another_version() -> None:
    assert "--version 0" in " ".join(argv(topology.OLD_MODEL))
    others = [argv(name) for name in topology.SERVICES if name != topology.OLD_MODEL]
    assert not any(PLACES[topology.OLD_MODEL] in word for words in others for word in words)


def test_the_system_file_has_the_features_of_the_data_set_in_their_order() -> None:
    text = topology.system_yaml("lab", PLACES, "docker: {labels: {app: loan-model}}")
    target = yaml.safe_load(text)["targets"]["loan-model"]
    assert tuple(target["input"]["features"]) == topology.FEATURES == dataset.load().names


def test_an_unheard_of_service_is_an_error() -> None:
    with pytest.raises(ValueError, match="database"):
        argv("database")


def test_prometheus_accepts_its_configuration(tools: Tools, tmp_path: Path) -> None:
    for rules in Path(topology.__file__).parent.glob("rules*.yml"):
        (tmp_path / rules.name).write_text(rules.read_text())
    (tmp_path / "prometheus.yml").write_text(topology.prometheus_yml(PLACES, str(tmp_path)))
    done = subprocess.run(
        [str(tools.promtool), "check", "config", str(tmp_path / "prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = {job["job_name"] for job in yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"]}
    loan, language_model = {"loan-gateway", "loan-model", "chaos-proxy"}, {"llm-gateway", "llm-proxy", "llm-server"}
    assert jobs == loan | language_model | {"alertmanager"}


def test_every_alert_of_the_lab_reaches_the_sink_and_soon() -> None:
    route = parse_alertmanager_config(topology.alertmanager_yml(PLACES))
    for labels in (
        {"alertname": "ModelAccuracyLow", "severity": "page"},
        {"alertname": "Watchdog", "severity": "none"},
    ):
        (taken,) = route.routes_for(labels)
        assert (taken.receiver, taken.group_wait_s, taken.group_interval_s) == ("oncall", 1.0, 5.0)


def test_the_system_file_names_every_place_and_keeps_the_token_out() -> None:
    written = topology.system_yaml("lab", PLACES, "process: {table: processes.json, labels: {app: loan-model}}")
    system = yaml.safe_load(written.replace("${file:token}", "TOKEN"))
    assert system["entry"] == f"http://{PLACES['gateway']}/score"
    assert system["targets"]["loan-model"]["proxies"] == [f"http://{PLACES['control']}"]
    assert system["targets"]["loan-model"]["token"] == "TOKEN"
    for target, proxy in {"gateway-metrics": "scrape-proxy", "oncall-webhook": "webhook-proxy"}.items():
        proxies = [f"http://{PLACES[f'{proxy}-control']}"]
        assert system["targets"][target] == {"proxies": proxies, "token": "TOKEN", "placement": "in monitoring"}
    assert system["telemetry"] == {
        "prometheus": f"http://{PLACES['prometheus']}",
        "alertmanager": f"http://{PLACES['alertmanager']}",
    }
    assert system["receivers"]["oncall"]["sink"] == f"http://{PLACES['sink']}"
    assert system["opt_in"] == "chaos.enabled=true"


def test_in_docker_every_place_has_a_port_of_its_container_and_what_is_waited_for_is_published() -> None:
    assert set(compose.PORT) == set(topology.PORTS)
    assert set(compose.SERVICE.values()) == set(topology.SERVICES)
    listening = [(compose.SERVICE[place], port) for place, port in compose.PORT.items()]
    assert len(set(listening)) == len(listening), "two places of one container have the same port"
    assert set(HEALTH) <= set(compose.PUBLISHED)
    services = compose.compose("lab", compose.Images("lab", "prometheus", "alertmanager"), "/folder")["services"]
    assert isinstance(services, dict)
    assert set(services) == set(topology.SERVICES)


def test_without_the_programs_one_sentence_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="apt-get install prometheus"):
        monitoring.find(tmp_path / "state")


def test_programs_on_the_path_come_first_and_are_left_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("prometheus", "promtool", "alertmanager", "amtool"):
        (tmp_path / name).write_bytes(monitoring.TEMPLATES.encode())
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = monitoring.find(tmp_path / "state")
    assert {found.prometheus, found.promtool, found.alertmanager} == {
        tmp_path / n for n in ("prometheus", "promtool", "alertmanager")
    }
    assert found.templates is None, "an installed one finds its own"
    assert found.alertmanager.read_bytes() == monitoring.TEMPLATES.encode()
    assert not (tmp_path / "state").exists()


def test_an_unpacked_alertmanager_looks_for_its_templates_here_and_is_otherwise_the_same(tmp_path: Path) -> None:
    program = tmp_path / "alertmanager"
    program.write_bytes(b"\x00before" + monitoring.TEMPLATES.encode() + b"/default.tmpl\x00after")
    monitoring._look_for_templates_here(program)
    assert program.read_bytes() == b"\x00before" + monitoring.HERE + b"/default.tmpl\x00after"
    assert len(monitoring.HERE) == len(monitoring.TEMPLATES)
    assert program.stat().st_mode & 0o111
    again = program.stat().st_mtime_ns
    monitoring._look_for_templates_here(program)
    assert program.stat().st_mtime_ns == again


def test_the_unpacked_programs_run(tools: Tools) -> None:
    for program in (tools.prometheus, tools.promtool, tools.alertmanager):
        done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0
        assert "version" in done.stdout + done.stderr


def test_the_language_models_system_file_names_its_places_and_its_prompts_are_what_it_sends(tmp_path: Path) -> None:
    text = assistant.system_yaml("lab", PLACES)
    system, _ = parse_system(text, "system.yaml", {"file:token": "secret"})
    assert system.name == "lab-llm"
    assert system.entry == f"http://{PLACES['llm-gateway']}/assist"
    assert system.targets["assistant"].proxies == [f"http://{PLACES['llm-proxy-control']}"]
    assert "secret" not in text
    path = tmp_path / system.data["prompts"]
    path.write_text(assistant.prompts_jsonl())
    rows = read_rows(str(path))
    assert all(set(fill(system.request.json_, {"row": row})) == {"kind", "prompt", "neighbour"} for row in rows)


def test_the_language_model_is_asked_through_its_own_proxy_alone() -> None:
    proxy = " ".join(argv("llm-proxy"))
    assert f"{PLACES['llm-proxy-route']}>{PLACES['llm-server']}" in proxy
    assert f"--control {PLACES['llm-proxy-control']}" in proxy
    assert f"http://{PLACES['llm-proxy-route']}" in argv("llm-gateway")
    others = [argv(name) for name in topology.SERVICES if name not in ("llm-proxy", "llm-server")]
    assert not any(PLACES["llm-server"] in word for words in others for word in words)
