"""Where Prometheus and Alertmanager come from."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import docker
import pytest

from chaos.lab import monitoring

IMAGE = "chaos-test-programs:local"


def image_with(*programs: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for program in programs:
            entry = tarfile.TarInfo(program.lstrip("/"))
            entry.size, entry.mode = len(program), 0o755
            tar.addfile(entry, io.BytesIO(program.encode()))
    return packed.getvalue()


@pytest.mark.parametrize("name", ["bin/prometheus", "../../escaped", "/escaped"])
def test_the_one_program_of_an_archive_stands_where_it_was_wanted_and_can_be_run(name: str, tmp_path: Path) -> None:
    wanted = tmp_path / "a" / "b" / "prometheus"
    wanted.parent.mkdir(parents=True)
    monitoring._unpack_program(image_with(name, "another"), wanted)
    assert wanted.read_text() == name
    assert wanted.stat().st_mode & 0o777 == 0o755
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [wanted]


def test_an_archive_without_a_program_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        link = tarfile.TarInfo("prometheus")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(FileNotFoundError):
        monitoring._unpack_program(packed.getvalue(), tmp_path / "prometheus")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.docker
def test_programs_are_copied_out_of_their_images_and_no_container_stays(tmp_path: Path) -> None:
    engine = docker.from_env()
    repository, _, tag = IMAGE.partition(":")
    programs = ("/bin/prometheus", "/bin/promtool", "/bin/alertmanager")
    engine.api.import_image_from_data(image_with(*programs), repository=repository, tag=tag)
    try:
        before = {one.id for one in engine.containers.list(all=True)}
        assert monitoring.copy_out(tmp_path, lambda said: None, {IMAGE: programs})
        for program in programs:
            copied = tmp_path / "usr" / program.lstrip("/")
            assert copied.read_text() == program
            assert copied.stat().st_mode & 0o111
        left = {one.id for one in engine.containers.list(all=True)} - before
        assert not [one for one in left if IMAGE in str(engine.containers.get(one).attrs["Config"]["Image"])]
    finally:
        engine.images.remove(IMAGE, force=True)
        engine.close()


def test_without_an_engine_nothing_is_copied_and_the_way_to_get_them_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not monitoring.copy_out(tmp_path, lambda said: None)
    with pytest.raises(monitoring.MissingTool, match="apt-get install prometheus"):
        monitoring.find(tmp_path)


def test_several_that_come_at_once_find_the_same_whole_tools(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from chaos.lab import monitoring; print(monitoring.find(Path(sys.argv[1])))"
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    ended = [(one.communicate(timeout=180), one.returncode) for one in begun]
    assert [code for _, code in ended] == [0] * 6, [said[1][-500:] for said, _ in ended]
    assert len({said[0] for said, _ in ended}) == 1
