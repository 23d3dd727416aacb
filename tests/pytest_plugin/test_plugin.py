"""The plugin in real sessions of pytest, without a system: what is collected, chosen, planned, skipped and told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from chaos.pytest_plugin.turns import turn
from tests.pytest_plugin.conftest import ROOT, experiment, frozen


def said(result: pytest.RunResult) -> str:
    return "\n".join([*result.outlines, *result.errlines])


def test_a_file_of_its_own_kind_is_one_item_with_the_marker(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--collect-only", "-q")
    result.stdout.fnmatch_lines(["slow.chaos.yaml::slow-model"])
    assert (
        project.runpytest_inprocess("--collect-only", "-q", "-m", "not chaos").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    )
    assert "slow-model" in said(project.runpytest_inprocess("--collect-only", "-q", "-k", "latency"))


def test_without_the_plugin_nothing_of_it_is_there(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("-p", "no:chaos", "--collect-only", "-q")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "unrecognized arguments" in said(project.runpytest_inprocess("-p", "no:chaos", "--chaos-dry-run"))


def test_in_a_folder_of_experiments_what_looks_like_one_is_collected_and_nothing_else(project: pytest.Pytester) -> None:
    folder = project.path / "staging"
    folder.mkdir()
    (folder / "one.yaml").write_text(experiment("in-the-folder"))
    (folder / "system.yaml").write_text((project.path / "system.yaml").read_text())
    (project.path / "other.yaml").write_text(experiment("elsewhere"))
    project.makeini("[pytest]\nchaos_experiments = staging\n")
    text = said(project.runpytest_inprocess("--collect-only", "-q"))
    assert "staging/one.yaml::in-the-folder" in text
    assert "elsewhere" not in text
    assert "error" not in text


def test_tags_choose_what_is_collected(project: pytest.Pytester) -> None:
    (project.path / "other.chaos.yaml").write_text(experiment("other", "quality, slow"))
    text = said(project.runpytest_inprocess("--collect-only", "-q", "--chaos-tags", "quality,latency,-slow"))
    assert "slow-model" in text
    assert "other.chaos.yaml" not in text


def test_a_wrong_file_is_an_error_of_collection_with_every_problem(project: pytest.Pytester) -> None:
    (project.path / "slow.chaos.yaml").write_text(
        experiment().replace("fault: delay", "fault: dellay").replace("max_duration: 1m", "max_duration: 60")
    )
    result = project.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    text = said(result)
    assert re.search(r"slow\.chaos\.yaml:\d+:\d+: blast_radius\.max_duration: ", text)
    assert "did you mean `delay`?" in text
    assert "Traceback" not in text


def test_a_system_that_does_not_answer_is_an_error_and_no_failure(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("-rE")
    result.assert_outcomes(errors=1)
    text = said(result)
    assert "Traceback" not in text
    assert ".py:" not in text
    assert "127.0.0.1:1" in text


@pytest.mark.parametrize(
    ("system", "sentence"),
    [
        ("sistem.yaml", "there is no system `sistem.yaml`; did you mean `system.yaml`?"),
        ("system", "did you mean `system.yaml`?"),
        ("zzz", "there is no system `zzz`; write the path of a system file, or `lab`"),
        ("broken.yaml", "broken.yaml:1:1: unknown"),
    ],
)
def test_a_system_that_is_none_is_one_mistake_of_the_command_line(
    project: pytest.Pytester, system: str, sentence: str
) -> None:
    (project.path / "other.chaos.yaml").write_text(experiment("other"))
    (project.path / "broken.yaml").write_text("unknown: 1\n")
    project.makepyfile("def test_one(alerts): pass")
    result = project.runpytest_inprocess("--chaos-system", system)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = said(result)
    assert text.count(sentence) == 1
    assert text.count("ERROR") == 1
    assert "Traceback" not in text


def test_fixtures_that_ask_for_it_make_it_one_mistake_too(project: pytest.Pytester) -> None:
    project.makepyfile("def test_one(alerts): pass\ndef test_two(chaos_fault): pass")
    result = project.runpytest_inprocess("--chaos-system", "zzz", "-m", "not chaos")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said(result).count("there is no system `zzz`") == 1


def test_with_workers_it_is_one_mistake_too_and_no_test_begins(project: pytest.Pytester) -> None:
    project.makepyfile("def test_one(): print('begun')")
    result = project.runpytest_subprocess("-n", "2", "-s", "--chaos-system", "sistem.yaml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = said(result)
    assert text.count("did you mean `system.yaml`?") == 1
    assert "begun" not in text
    assert "passed" not in text
    assert "Traceback" not in text


def test_a_system_that_stands_beside_the_experiment_is_found_from_anywhere(project: pytest.Pytester) -> None:
    (project.path / "below").mkdir()
    for name in ("slow.chaos.yaml", "rows.jsonl"):
        (project.path / name).rename(project.path / "below" / name)
    (project.path / "system.yaml").rename(project.path / "below" / "staging.yaml")
    project.runpytest_inprocess("--chaos-system", "staging.yaml", "--chaos-dry-run").assert_outcomes(failed=1)


def test_a_system_that_is_none_hinders_nothing_that_asks_for_none(project: pytest.Pytester) -> None:
    project.makepyfile("def test_one(): pass")
    project.makeini("[pytest]\nchaos_system = zzz\n")
    project.runpytest_inprocess("-m", "not chaos").assert_outcomes(passed=1, deselected=1)
    assert project.runpytest_inprocess("--collect-only", "-q").ret == pytest.ExitCode.OK


def test_the_system_of_the_settings_may_be_written_by_a_fixture(project: pytest.Pytester) -> None:
    text = (project.path / "system.yaml").read_text()
    project.makeini("[pytest]\nchaos_system = made.yaml\n")
    project.makepyfile(
        f"""
        import pathlib, pytest

        @pytest.fixture(scope="session", autouse=True)
        def made():
            pathlib.Path("made.yaml").write_text({text!r})

        def test_it(chaos_system):
            assert chaos_system[0].name == "nowhere"
        """
    )
    project.runpytest_inprocess("-k", "test_it").assert_outcomes(passed=1, deselected=1)


def test_a_lab_that_is_not_up_is_an_error_that_says_how_to_bring_it_up(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--chaos-system", "lab")
    result.assert_outcomes(errors=1)
    assert "run `chaos lab up` first" in said(result)


def test_a_dry_run_plans_and_a_plan_that_is_refused_fails_with_its_reasons(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--chaos-dry-run")
    result.assert_outcomes(failed=1)
    text = said(result)
    assert "this must not run:" in text
    assert "slow-model  refused" in text
    assert not (project.path / "runs").exists()


def test_in_a_freeze_an_experiment_is_skipped_with_the_reason(project: pytest.Pytester) -> None:
    frozen(project)
    result = project.runpytest_inprocess("-rs")
    result.assert_outcomes(skipped=1)
    assert "2999-01-01" in said(result)
    assert "slow.chaos.yaml" in said(result)


def test_a_variable_without_a_value_is_refused(project: pytest.Pytester) -> None:
    assert "write NAME=VALUE" in said(project.runpytest_inprocess("--chaos-var", "nothing"))


def test_with_workers_the_same_items_are_collected_and_told(project: pytest.Pytester) -> None:
    (project.path / "other.chaos.yaml").write_text(experiment("other"))
    result = project.runpytest_subprocess("-n", "2", "--chaos-dry-run")
    result.assert_outcomes(failed=2)
    assert "other       refused" in said(result)


def test_junit_carries_the_properties(project: pytest.Pytester) -> None:
    project.runpytest_inprocess("--chaos-dry-run", "--junitxml", "junit.xml")
    found = {one.get("name"): one.get("value") for one in ET.parse(project.path / "junit.xml").iter("property")}
    assert found["chaos.experiment"] == "slow-model"
    assert found["chaos.verdict"] == "refused"


def test_a_session_without_experiments_says_nothing_of_them(project: pytest.Pytester) -> None:
    (project.path / "slow.chaos.yaml").unlink()
    project.makepyfile("def test_one(): pass")
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    assert "chaos" not in "\n".join(line for line in result.outlines if not line.startswith(("rootdir", "plugins")))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("chaos_fault('dellay', target='model').__enter__()", "did you mean `delay`?"),
        ("chaos_fault('delay', target='modell', by='1s').__enter__()", "did you mean `model`?"),
        ("chaos_fault('delay', target='model', by='soon').__enter__()", "delay: by"),
        ("chaos_fault('kill', target='model').__enter__()", "write an experiment for it"),
        (
            "chaos_fault('wrong_predictions', target='model', subjects='users').__enter__()",
            "nobody has allowed it",
        ),
    ],
)
def test_a_fault_that_must_not_be_is_refused_in_one_sentence(
    project: pytest.Pytester, body: str, sentence: str
) -> None:
    project.makepyfile(f"def test_one(chaos_fault):\n    {body}\n")
    result = project.runpytest_inprocess("--chaos-system", "system.yaml", "--tb=short", "-m", "not chaos")
    result.assert_outcomes(failed=1)
    assert sentence in said(result)


def test_no_system_for_a_fixture_is_said_with_what_to_write(project: pytest.Pytester) -> None:
    project.makepyfile("def test_one(alerts): pass")
    assert "write --chaos-system NAME" in said(project.runpytest_inprocess("-m", "not chaos"))


def test_importing_the_plugin_imports_nothing_heavy() -> None:
    """It stands in every session of every project that has the product installed."""
    code = "import sys, pytest; before = set(sys.modules); import chaos.pytest_plugin; print('\\n'.join(sorted(set(sys.modules) - before)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = done.stdout.split()
    assert {name for name in loaded if not name.startswith("chaos")} == set()
    assert set(loaded) <= {"chaos", "chaos.version", "chaos.pytest_plugin", "chaos.pytest_plugin.fixtures", "chaos.api"}


WAITS = """
import sys; from pathlib import Path; from chaos.pytest_plugin.turns import turn
with turn(Path(sys.argv[1]), lambda said: print(said, flush=True)):
    print("mine", flush=True)
"""


def test_on_one_system_one_process_runs_after_the_other_and_says_what_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAOS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def other(system: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", WAITS, str(tmp_path / system)], stdout=subprocess.PIPE, text=True
        )

    with turn(tmp_path / "system.yaml"), turn(tmp_path / "system.yaml"):  # the same process waits for nobody
        with other("another.yaml") as free:
            assert free.communicate(timeout=30)[0] == "mine\n"
        second = other("system.yaml")
        assert second.stdout is not None
        assert second.stdout.readline().startswith("waiting until pytest ")
    assert second.communicate(timeout=30)[0] == "mine\n"
