"""What others on the machine can read of the processes that a run starts."""

from __future__ import annotations

import stat
from pathlib import Path

import psutil

from chaos.drivers.load import LoadDriver, LoadPlan
from tests.drivers.loopback import Said, serving

KEY = "ab" * 16


def test_the_loads_command_line_and_environment_have_no_key_and_its_plan_is_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"amount": 1}\n')
    with serving(lambda asked: Said()) as server:
        plan = LoadPlan(
            url=server.url,
            rate_per_s=20.0,
            data=str(tmp_path / "rows.jsonl"),
            run="run-1",
            seed="seed",
            traffic=0.5,
            by="request",
            where=None,
            request_json={"a": "$row.amount"},
            request_headers={"authorization": "Bearer hunter2"},
            synthetic_key=KEY,
        )
        load = LoadDriver(plan, tmp_path)
        load.start()
        try:
            own = psutil.Process()
            started = [one for one in own.children(recursive=True) if "locust" in " ".join(one.cmdline())]
            assert started
            for process in started:
                for name in ("cmdline", "environ"):
                    told = Path(f"/proc/{process.pid}/{name}").read_bytes()
                    assert KEY.encode() not in told
                    assert b"hunter2" not in told
        finally:
            load.stop()
        assert any(asked.headers.get("authorization") == "Bearer hunter2" for asked in server.asked)
    assert stat.S_IMODE((tmp_path / "plan.json").stat().st_mode) == 0o600
