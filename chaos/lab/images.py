"""The images of the lab in Docker: the ordinary ones from a registry; where none is reachable, made from Debian's packages.

base        BASE_IMAGE (python:3.11-slim)         else `chaos-base:local`, from mmdebstrap
lab         built on the base, once per content
monitoring  prom/prometheus, prom/alertmanager    else the programs of this machine, copied onto the base
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from chaos.errors import MissingTool, Unreachable
from chaos.lab import monitoring
from chaos.lab.compose import Images

BASE = "python:3.11-slim"
LOCAL_BASE = "chaos-base:local"
NEEDED = (
    "aiohttp", "h11", "h2", "numpy", "orjson", "pandas", "prometheus_client", "promql-parser", "pydantic", "pyyaml", "psutil",
    "requests", "scikit-learn", "uvloop",
)  # fmt: skip
"""What the lab's own services import. The same versions as here: the model is a pickle."""
LABEL = "chaos.image"
Report = Callable[[str], None]


def ready(engine: Any, state: Path, report: Report) -> Images:
    """The lab's images exist in the engine. Raises MissingTool or Unreachable that says what to do."""
    lab_base = base(engine, report)
    lab = _build(engine, "lab", _lab_context(), {"BASE_IMAGE": lab_base}, report)
    prometheus, alertmanager = _monitoring(engine, lab_base, state, report)
    return Images(lab, prometheus, alertmanager)


def present(engine: Any, tag: str) -> bool:
    """Whether the engine has the image."""
    import docker.errors

    try:
        engine.images.get(tag)
    except docker.errors.ImageNotFound:
        return False
    return True


def _pulled(engine: Any, tag: str, report: Report) -> bool:
    import docker.errors

    if present(engine, tag):
        return True
    report(f"pulling {tag}")
    try:
        engine.images.pull(tag)
    except docker.errors.APIError:
        return False
    return True


# --- the base ---------------------------------------------------------------------------------------------------------


def base(engine: Any, report: Report) -> str:
    """The image that the others are built on; the engine has it now. Raises MissingTool that says what to do."""
    wanted = os.environ.get("BASE_IMAGE", BASE)
    if _pulled(engine, wanted, report):
        return wanted
    if wanted != BASE:
        raise MissingTool(f"the image BASE_IMAGE={wanted} is neither here nor in a registry that can be reached")
    if not present(engine, LOCAL_BASE):
        _make_base(engine, report)
    return LOCAL_BASE


def _make_base(engine: Any, report: Report) -> None:
    """A Debian with Python, from Debian's packages, imported as an image."""
    if shutil.which("mmdebstrap") is None:
        raise MissingTool(
            f"{BASE} could not be pulled, and without a registry the base image is made by mmdebstrap, which is missing: "
            "`apt-get install mmdebstrap`, or set BASE_IMAGE to an image with Python 3.11 that the engine has"
        )
    report("no registry can be reached: making the base image from Debian's packages (half a minute)")
    certificates = "/etc/ssl/certs/ca-certificates.crt"
    argv = [
        "mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,python3-venv,ca-certificates",
        '--customize-hook=ln -sf python3 "$1/usr/bin/python"', '--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/usr/share/doc',
        f'--customize-hook=cp -L {certificates} "$1{certificates}"', "bookworm", "-",
    ]  # fmt: skip
    made = subprocess.run(argv, capture_output=True, check=False)
    if made.returncode != 0:
        raise MissingTool(
            f"mmdebstrap could not make the base image: {made.stderr.decode(errors='replace').strip()[-300:]}"
        )
    repository, _, tag = LOCAL_BASE.partition(":")
    engine.api.import_image_from_data(made.stdout, repository=repository, tag=tag)


# --- building ---------------------------------------------------------------------------------------------------------


def _lab_context() -> dict[str, bytes]:
    """Path → content of everything that the lab's image is built from."""
    package = Path(str(package_files("chaos")))
    files = {
        f"chaos/{path.relative_to(package)}": path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and "_content" not in path.parts
    }
    requirements = "".join(f"{name}=={version(name)}\n" for name in NEEDED)
    return {"Dockerfile": files["chaos/lab/Dockerfile"], "requirements.txt": requirements.encode(), **files}


def _build(engine: Any, name: str, context: dict[str, bytes], arguments: dict[str, str], report: Report) -> str:
    """The image of this content; built when it is not there yet. Images of other contents that nobody uses are removed."""
    import docker.errors

    content = hashlib.sha256(repr(sorted(arguments.items())).encode())
    for path, data in sorted(context.items()):
        content.update(f"{path} {len(data)} ".encode() + data)
    tag = f"chaos-{name}:{content.hexdigest()[:12]}"
    if present(engine, tag):
        return tag
    report(f"building the image {tag} (a minute when it is the first)")
    passed = {
        key: os.environ[key]
        for key in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "UV_INDEX_URL")
        if key in os.environ
    }
    try:
        engine.images.build(
            fileobj=io.BytesIO(_tar(context)), custom_context=True, tag=tag, rm=True, forcerm=True,
            buildargs={**passed, **arguments}, labels={LABEL: name}, timeout=600,
        )  # fmt: skip
    except docker.errors.BuildError as error:
        said = [str(row.get("stream") or row.get("error") or "").strip() for row in error.build_log]
        raise Unreachable(
            f"the image {tag} could not be built:\n  " + "\n  ".join([row for row in said if row][-8:])
        ) from error
    _forget(engine, name, tag)
    return tag


def _forget(engine: Any, name: str, keep: str) -> None:
    """Earlier builds of this image are gone, apart from those that a container uses."""
    import docker.errors

    for image in engine.images.list(filters={"label": f"{LABEL}={name}"}):
        for tag in image.tags:
            if tag.startswith(f"chaos-{name}:") and tag != keep:
                try:
                    engine.images.remove(tag)
                except docker.errors.APIError:
                    continue  # in use by a lab that runs


def _tar(context: dict[str, bytes], mode: int = 0o644) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, data in context.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            entry.mode = 0o755 if path.startswith("bin/") else mode
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


# --- monitoring -------------------------------------------------------------------------------------------------------


def _monitoring(engine: Any, base: str, state: Path, report: Report) -> tuple[str, str]:
    ordinary = monitoring.PROMETHEUS_IMAGE, monitoring.ALERTMANAGER_IMAGE
    if all(_pulled(engine, image, report) for image in ordinary):
        return ordinary
    report("no registry can be reached: taking this machine's Prometheus and Alertmanager into an image")
    tools = monitoring.find(state, report)
    context = {"bin/prometheus": tools.prometheus.read_bytes(), "bin/alertmanager": tools.alertmanager.read_bytes()}
    copies = "COPY bin/ /usr/local/bin/\n"
    folder = tools.templates or Path(monitoring.TEMPLATES)
    for template in folder.glob("*.tmpl") if folder.is_dir() else ():
        context[f"templates/{template.name}"] = template.read_bytes()
        copies += f"COPY templates/{template.name} {monitoring.TEMPLATES}/\n"
    context["Dockerfile"] = f"FROM {base}\n{copies}".encode()
    tag = _build(engine, "monitoring", context, {}, report)
    return tag, tag
