"""Experiment, system, probe and data files that somebody else wrote: refused or read, in bounded time and memory, and never run."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from chaos.app.files import LARGEST_SECRET, Variables, data_path, load, read_text
from chaos.document import read_document
from chaos.drivers.load.arrivals import Arrivals
from chaos.drivers.load.plan import LoadPlan
from chaos.errors import InvalidFile
from chaos.experiment import parse
from chaos.probe import parse_probes
from chaos.system import parse_system

ROOT = Path(__file__).parents[2]
BASE = (
    "name: a\nsystem: lab\nsteady_state: [{probe: accuracy, min: 88%}]\nblast_radius: {traffic: 1%, max_duration: 1m}\n"
    "faults: [{fault: wrong_predictions, target: m, duration: 1s}]\nexpect: {}\n"
)
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + place)}: &{chr(98 + place)} [{','.join(['*' + chr(97 + place)] * 9)}]\n" for place in range(9)
)
BOMBS = {
    "aliases of aliases": LAUGHS,
    "an alias of itself": "a: &a [*a]\n",
    "brackets": "[" * 900_000,
    "braces": "{a: " * 200_000,
    "dashes": "- " * 400_000,
    "variables that never close": "a: " + "${" * 400_000,
    "variables in brackets that never close": "a: [" + "[" * 300_000 + "${" * 100_000,
    "anchors": "\n".join(f"- &a{place} x" for place in range(60_000)),
    "unknown keys": BASE + "".join(f"k{place}xx: 1\n" for place in range(19_000)),
    "a long word": BASE.replace("wrong_predictions", "w" * 900_000),
    "a long number": BASE.replace("1%", "9" * 900_000 + "%"),
    "a long number without a unit": BASE.replace("1%", "9" * 900_000),
    "an absurd exponent": BASE.replace("1%", "1e999999999%"),
    "an absurd duration": BASE.replace("max_duration: 1m", "max_duration: 1e999999999s"),
    "a long duration": BASE.replace("max_duration: 1m", "max_duration: " + "1." * 400_000),
    "a long slice": BASE.replace(
        "max_duration: 1m", "max_duration: 1m, where: 'header:a == \"" + "\\\\" * 200_000 + "'"
    ),
    "a long path": BASE.replace("max_duration: 1m", "max_duration: 1m, where: 'json:$" + ".a" * 300_000 + "'"),
    "a large cap": BASE.replace("max_duration: 1m", f"max_duration: 1m, most: {'9' * 100_000} requests"),
    "many lines": '"' + "a\n" * 400_000,
}
MOST_CPU_S = 15.0
"""Far more than any of them takes, and far less than forever."""


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("read", [parse, parse_system], ids=["experiment", "system"])
def test_a_bomb_in_a_file_is_refused_in_bounded_time(text: str, read: object) -> None:
    begun_s = time.process_time()
    with pytest.raises(InvalidFile) as caught:
        read(text, "file.yaml", {})  # type: ignore[operator]
    assert time.process_time() - begun_s < MOST_CPU_S
    assert caught.value.problems


TAGS = [
    "!!python/object/apply:os.system ['touch {0}']",
    "!!python/object/new:subprocess.Popen [['touch', '{0}']]",
    "!!python/name:os.system",
    "!!python/module:os",
    "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch {0}']",
    "!touch {0}",
]


@pytest.mark.parametrize("tag", TAGS)
def test_no_tag_of_a_file_runs_anything(tag: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    text = f"a: {tag.format(mark)}\n"
    for read in (lambda: parse(text, "f", {}), lambda: parse_system(text, "f", {}), lambda: parse_probes(text, "f")):
        with pytest.raises(InvalidFile, match="is not allowed"):
            read()
    assert not mark.exists()


@pytest.mark.parametrize("value", ["{{ 7 * 7 }}", "$(id)", "`id`", "%(x)s", "{0.__class__}", "${IFS}"])
def test_no_text_of_a_file_is_a_template_of_anything_but_variables(value: str) -> None:
    document = read_document(f"a: '{value}'\n", "f", {"IFS": "x"})
    assert document.data == {"a": value.replace("${IFS}", "x")}


def test_a_file_that_never_ends_is_not_read_to_its_end() -> None:
    with pytest.raises(InvalidFile, match="larger than"):
        read_text(Path("/dev/zero"))


@pytest.mark.parametrize(
    "name", ["../a", "a/../b", "/etc/passwd", "a b", "", ".hidden", "-rf", "a\nb", "a\x00b", "ä", "x" * 101]
)
def test_no_experiments_name_leads_anywhere_else(name: str) -> None:
    import json

    with pytest.raises(InvalidFile):
        parse(BASE.replace("name: a", f"name: {json.dumps(name)}", 1), "f", {})


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "folder/secret", ".hidden", ".", "..", ""])
def test_a_file_variable_reads_beside_its_file_alone(name: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    (inside / "folder").mkdir(parents=True)
    for path in (tmp_path / "secret", inside / "folder" / "secret", inside / ".hidden"):
        path.write_text("hunter2")
    assert f"file:{name}" not in Variables({}, inside)


def test_a_file_variable_of_a_file_without_end_is_cut(tmp_path: Path) -> None:
    (tmp_path / "endless").symlink_to("/dev/zero")
    assert len(Variables({}, tmp_path)["file:endless"]) <= LARGEST_SECRET


@pytest.mark.parametrize("data", ["../outside.jsonl", "/etc/passwd", "inner/../../outside.jsonl", "link.jsonl"])
def test_an_experiments_data_stays_in_its_folder(data: str, tmp_path: Path) -> None:
    folder = tmp_path / "experiments"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "outside.jsonl").write_text('{"secret": 1}\n')
    (folder / "link.jsonl").symlink_to(tmp_path / "outside.jsonl")
    (folder / "inside.jsonl").write_text('{"amount": 1}\n')
    good = ROOT / "tests" / "bad" / "good"
    text = (
        (ROOT / "tests" / "bad" / "value_no_slice.yaml")
        .read_text()
        .split("# says:")[0]
        .replace(", where: region is north", "")
    )
    system = (good / "system.yaml").read_text()
    (folder / "system.yaml").write_text(system)
    for path in (good / "probes").glob("*.yaml") if (good / "probes").is_dir() else ():
        (folder / "probes").mkdir(exist_ok=True)
        (folder / "probes" / path.name).write_text(path.read_text())
    text = text.replace("good/system.yaml", "system.yaml")

    def loaded(name: str):  # type: ignore[no-untyped-def]
        (folder / "experiment.yaml").write_text(text.replace("lab:applications", name))
        return load(folder / "experiment.yaml", variables={"CHAOS_PROXY_TOKEN": "x" * 20, "TOKEN": "x" * 20})

    assert data_path(loaded("inside.jsonl")) == (folder / "inside.jsonl").resolve()
    with pytest.raises(InvalidFile, match="leads out of the experiment's folder"):
        data_path(loaded(data))


EVIL = 'x"}\r\nX-Injected: yes\r\n\r\nGET / HTTP/1.1\r\n\x00\x1b[31m$row.other ${HOME}'


@pytest.mark.parametrize("by", ["header:x-who", "cookie:who", "query:who"])
def test_no_value_of_a_data_file_injects_a_header_or_json(by: str) -> None:
    import json

    row = {"amount": EVIL, "group": EVIL, "other": "must not be placed"}
    plan = LoadPlan(
        url="http://127.0.0.1:1/score?a=b",
        rate_per_s=1.0,
        data="rows.jsonl",
        run="run-1",
        seed="seed",
        traffic=0.3,
        by=by,
        where=None,
        request_json={"application": "$row.amount", "text": "is $row.group!"},
        request_headers={"X-Group": "$row.group", "Cookie": "a=$row.group"},
        synthetic_key="00ff" * 8,
    )
    arrival = Arrivals(plan, [row]).draw(0)
    assert json.loads(arrival.body) == {"application": EVIL, "text": f"is {EVIL}!"}
    for name, value in arrival.headers.items():
        assert all(" " <= sign <= "~" for sign in name + value), name
    assert set(arrival.headers) <= {"x-group", "cookie", "content-type", "x-request-id", "x-chaos-synthetic", "x-who"}
    assert all("!" <= sign <= "~" for sign in arrival.target)


@pytest.mark.parametrize("value", ['a"} or vector(1) #', "a'", "a`", "a\n", "a\\"])
def test_a_variable_that_would_end_the_text_that_it_is_placed_in_is_refused(value: str) -> None:
    import json

    good = (ROOT / "tests" / "bad" / "good" / "system.yaml").read_text().split("variables:")[0]
    with pytest.raises(InvalidFile, match="would end the text that it is placed in"):
        parse_system(good + f"variables: {{job: {json.dumps(value)}}}\n", "f", {"CHAOS_PROXY_TOKEN": "x" * 20})


@pytest.mark.parametrize("value", ["$other", "${other}", "$$other"])
def test_a_variable_of_a_query_is_placed_once_and_never_again(value: str) -> None:
    text = "p: {query: 'sum(up{job=\"$job\"})', unit: ratio, better: higher, doc: d}\n"
    query, _ = parse_probes(text, "f")["p"].render({"job": value, "other": "placed"})
    assert query == f'sum(up{{job="{value}"}})'
    assert os.environ.get("HOME", "~") not in query
