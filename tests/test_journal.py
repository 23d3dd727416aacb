"""The journal: every record comes back as it was, a cut or altered journal is noticed, and a written line is on the disk."""

from __future__ import annotations

import errno
import os
import stat
import typing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.drivers.folder import JournalWriter, NoFolder, RunFolder
from chaos.events import (
    Applied,
    Apply,
    ApplyFailed,
    Collect,
    Collected,
    EffectLost,
    Failed,
    GuardBreached,
    LoadStarted,
    LoadStopped,
    Observed,
    PhaseWindow,
    Projected,
    ProjectedAlert,
    QueryFailed,
    Record,
    Renewed,
    RunStarted,
    StartLoad,
    State,
    StateEntered,
    StopLoad,
    StopRequested,
    Undo,
    UndoFailed,
    Undone,
)
from chaos.exposure import ArmSample, LoadSummary, Sample, SliceCounts
from chaos.journal import BrokenJournal, Line, chain, digest, from_text, read, to_text
from chaos.observation import (
    AlertSeen,
    AlertsRead,
    ArmTraffic,
    Delivered,
    DeliveriesRead,
    ExternalRead,
    ExternalSeen,
    FaultTraffic,
    LoadRead,
    Observation,
    ProbeReading,
    ProbesRead,
    ProxyRead,
    RoutedAlert,
    RoutedRead,
    SeriesRead,
)

LABELS = {"alertname": "Größe\u2028\u0007", "quote": '"\n'}
READING = ProbeReading("accuracy", "phase", 30.0, 1.5, (0.93, float("inf")), None)
ARMS = {"treatment": ArmSample(4, 4, 1, 3, 1, 2, 1, {"0.1": 4, "10": 4}, {"black": SliceCounts(2, 1, 1, 0)})}
OBSERVATIONS: tuple[Observation, ...] = (
    ProbesRead((READING, replace(READING, scope="sliding", count=7.0))),
    AlertsRead(2.5, (AlertSeen("A", LABELS, "pending", 1.25), AlertSeen("B", {}, "firing", 1.5, 0.8)), {"A": "bad rule"}),
    ExternalRead((ExternalSeen(3, 3.5, 1.0, on=True), ExternalSeen(4, 3.5, None, on=False))),
    RoutedRead(3.5, (RoutedAlert("f", LABELS, "suppressed", 1.0, ("s",), ("i", "j"), ("oncall",)),)),
    DeliveriesRead((Delivered("oncall", 4.5, "resolved", "f", LABELS, 1.0, 4.0),)),
    ProxyRead(
        "model", 5.5, "disarmed", ArmTraffic(9, 8, 1), ArmTraffic(90, 80), ArmTraffic(), (FaultTraffic(0, 9, 18, 17, 1, 2.5, 3, 1.0, 2.0),), 20,
    ),
    LoadRead((Sample(1, 6.5, 40.0, 39, 1, 2, 3.5, ARMS, 10, 1),)),
)  # fmt: skip
RECORDS: tuple[Record, ...] = (
    RunStarted("run", "0.1.0", "name: quick\n", "{}"),
    StateEntered(State.inject, "the baseline is met"),
    Apply("fault-0@model"),
    Applied("fault-0@model", 1.5, "PUT", {"status": "exited"}),
    ApplyFailed("fault-0@model", "refused"),
    Undo("fault-0@model", 2),
    Undone("fault-0@model", 2, 2.5, "DELETE", {"status": "running"}),
    UndoFailed("fault-0@model", 1, "timed out"),
    Renewed("hold@model", "gone"),
    StartLoad(),
    StopLoad(),
    LoadStarted("no locust"),
    LoadStopped(LoadSummary(60, 40.0, 39.5, 2400, 3, 1, 5.0, None), "gone"),
    Collect((PhaseWindow("baseline", 1.0, 2.0), PhaseWindow("fault", 2.0, 3.5))),
    Collected(
        (SeriesRead("alert:A:firing", "ALERTS", LABELS, ((1.0, 1.0), (2.0, 0.5))),), (("fault", READING),), ("timeout",)
    ),
    *(Observed(seen) for seen in OBSERVATIONS),
    QueryFailed("probes", "timeout"),
    Failed("the disk is full"),
    StopRequested("SIGINT"),
    GuardBreached("availability (min 90%)", "it cannot be read"),
    EffectLost("fault-1@replica", "docker start replica"),
    Projected("the arms", (ProjectedAlert("A", True, 97, 100, 12.5, "…"),), None),
)


def texts(records: tuple[Record, ...] = RECORDS) -> list[str]:
    return list(chain((float(at), 1_700_000_000.0 + at, record) for at, record in enumerate(records)))


TEXT = "".join(text + "\n" for text in texts())


# --- records and lines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record", RECORDS, ids=lambda record: getattr(getattr(record, "observation", record), "kind", "?")
)
def test_a_record_comes_back_from_its_line_as_it_was(record: Record):
    line = Line(7, 1.25, 1_700_000_000.5, "abc", record)
    text = to_text(line)
    assert "\n" not in text
    assert from_text(text) == line


def test_every_kind_of_record_and_of_observation_is_tried_here():
    assert {type(record) for record in RECORDS} == set(typing.get_args(Record))
    assert {type(seen) for seen in OBSERVATIONS} == set(typing.get_args(Observation))


@given(st.text(), st.floats(0, 1e9), st.floats(0, 4e9))
def test_any_text_survives_and_times_keep_their_microsecond(why: str, at_s: float, wall_s: float):
    line = from_text(to_text(Line(1, at_s, wall_s, "", StopRequested(why))))
    assert line.record == StopRequested(why)
    assert (line.at_s, line.wall_s) == (pytest.approx(at_s, abs=1e-6), pytest.approx(wall_s, abs=1e-6))


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "null", "7", '"x"', "{", texts()[0][:-1], texts()[0].replace("run_started", "run_stopped"),
        texts()[0].replace('"version":"0.1.0",', ""), texts()[2].replace('"effect"', '"affect"'),
    ],
)  # fmt: skip
def test_what_is_no_line_is_refused_and_shown(text: str):
    with pytest.raises(BrokenJournal, match="no line of a journal"):
        from_text(text)


# --- chains -----------------------------------------------------------------------------------------------------------


def test_a_journal_is_read_in_order_each_line_holding_the_hash_of_the_one_before():
    lines = read(TEXT)
    assert [line.record for line in lines] == list(RECORDS)
    assert [line.sequence for line in lines] == list(range(1, len(RECORDS) + 1))
    assert [line.previous for line in lines] == ["", *(digest(text) for text in texts()[:-1])]


def test_an_empty_journal_has_no_lines():
    assert read("") == []


@settings(max_examples=100)
@given(st.integers(0, len(TEXT)))
def test_a_last_line_that_a_crash_cut_is_left_out(size: int):
    whole = TEXT[:size].count("\n")
    lines = read(TEXT[:size])
    complete = size > 0 and size < len(TEXT) and TEXT[size] == "\n"  # only its line break is missing
    assert len(lines) == whole + complete
    assert [line.record for line in lines] == list(RECORDS[: len(lines)])


@given(st.integers(0, len(RECORDS) - 2), st.data())
def test_a_line_that_is_cut_in_the_middle_of_a_journal_is_no_crash(place: int, data: st.DataObject):
    rows = texts()
    rows[place] = rows[place][: data.draw(st.integers(0, len(rows[place]) - 1))]
    with pytest.raises(BrokenJournal):
        read("".join(row + "\n" for row in rows))


@pytest.mark.parametrize("place", range(len(RECORDS) - 1))
def test_a_line_that_was_altered_and_still_reads_well_is_noticed_by_the_next(place: int):
    rows = texts()
    rows[place] = to_text(replace(from_text(rows[place]), wall_s=1.0))
    with pytest.raises(BrokenJournal, match=f"line {place + 2} does not follow"):
        read("".join(row + "\n" for row in rows))


def test_a_last_line_that_belongs_to_another_journal_is_left_out():
    stranger = to_text(Line(len(RECORDS) + 1, 0.0, 0.0, "0" * 16, StopRequested("x")))
    assert len(read(TEXT + stranger)) == len(RECORDS)
    with pytest.raises(BrokenJournal):
        read(TEXT + stranger + "\n")


# --- on the disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes that the journal had at each sync; syncing still happens."""
    sizes: list[int] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return sizes


def test_a_synced_record_is_on_the_disk_when_write_returns(tmp_path: Path, synced: list[int]):
    path = tmp_path / "journal.jsonl"
    writer = JournalWriter(path)
    for number, record in enumerate(RECORDS):
        writer.write(record, 0.01 * number, 1_700_000_000.0, sync=True)
        assert read(path.read_text())[-1].record == record  # by another handle
        assert synced[-1] == path.stat().st_size  # and synced with that line in it
    writer.close()
    assert [line.record for line in read(path.read_text())] == list(RECORDS)


def test_other_records_wait_for_the_next_sync_and_no_longer_than_a_second(tmp_path: Path, synced: list[int]):
    path = tmp_path / "journal.jsonl"
    writer = JournalWriter(path)
    writer.write(RECORDS[0], 0.0, 0.0, sync=True)
    writer.write(StartLoad(), 0.5, 0.0)
    assert (len(read(path.read_text())), len(synced)) == (1, 1)
    writer.write(StopLoad(), 1.0, 0.0)
    assert (len(read(path.read_text())), len(synced)) == (3, 2)
    writer.write(StopLoad(), 1.1, 0.0)
    writer.close()
    assert len(read(path.read_text())) == 4


def test_a_full_disk_raises_and_closing_says_so_and_closes():
    writer = JournalWriter(Path("/dev/full"))
    with pytest.raises(OSError, match="No space left") as refused:
        writer.write(Apply("fault-0@model"), 0.0, 0.0, sync=True)
    assert refused.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="No space left"):
        writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.close()


def test_a_disk_that_was_full_for_a_while_leaves_a_whole_chain(tmp_path: Path):
    """What was refused, in part or whole, is written first when there is room again."""
    path = tmp_path / "journal.jsonl"
    writer = JournalWriter(path)
    big = StopRequested("x" * 50_000)
    writer.write(RECORDS[0], 0.0, 0.0, sync=True)
    room = path.stat().st_size + 100
    with _RoomFor(room):
        for _ in range(3):
            with pytest.raises(OSError, match="too large"):
                writer.write(big, 0.1, 0.0, sync=True)
        assert path.stat().st_size == room
        assert [line.record for line in read(path.read_text())] == [RECORDS[0]]
    writer.write(StopLoad(), 0.2, 0.0, sync=True)
    writer.close()
    assert [line.record for line in read(path.read_text())] == [RECORDS[0], big, big, big, StopLoad()]


class _RoomFor:
    """No file of this process may grow beyond this size: what a full disk does, on a disk that is not full."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __enter__(self) -> None:
        import resource
        import signal

        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *error: object) -> None:
        import resource
        import signal

        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)
        signal.signal(signal.SIGXFSZ, self.handler)


def test_two_threads_write_one_chain(tmp_path: Path):
    from concurrent.futures import ThreadPoolExecutor

    path = tmp_path / "journal.jsonl"
    writer = JournalWriter(path)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: writer.write(StopRequested(str(number)), number / 100, 0.0), range(200)))
    writer.close()
    said = {line.record.by for line in read(path.read_text()) if isinstance(line.record, StopRequested)}
    assert said == {str(number) for number in range(200)}


# --- the run's folder -------------------------------------------------------------------------------------------------


def test_a_runs_folder_is_private_to_its_owner(tmp_path: Path):
    folder = RunFolder.make(tmp_path / "runs", "20260101-000000", "quick", "1a2b")
    assert folder.path.name == "20260101-000000-quick-1a2b"
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert (folder.path / "locust").is_dir()


def test_a_folder_that_exists_or_cannot_be_made_is_refused_with_what_to_do(tmp_path: Path):
    RunFolder.make(tmp_path, "t", "quick", "1")
    with pytest.raises(NoFolder, match="--runs"):
        RunFolder.make(tmp_path, "t", "quick", "1")
    (tmp_path / "file").write_text("")
    with pytest.raises(NoFolder, match="--runs"):
        RunFolder.make(tmp_path / "file", "t", "quick", "1")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path):
    folder = RunFolder.make(tmp_path, "t", "quick", "1")
    folder.write("verdict.json", "old")
    with _RoomFor(3), pytest.raises(OSError, match="too large"):
        folder.write("verdict.json", "much longer than there is room for")
    assert (folder.path / "verdict.json").read_text() == "old"
    folder.write("verdict.json", "✓ Größe")
    assert (folder.path / "verdict.json").read_bytes().decode("utf-8") == "✓ Größe"


def test_a_folder_without_a_journal_says_what_to_give(tmp_path: Path):
    with pytest.raises(NoFolder, match="give the folder of a run"):
        RunFolder(tmp_path).lines()


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_journal_that_a_crash_cut_inside_a_character_is_read(tmp_path: Path, cut: int):
    whole = texts((RECORDS[0], StopRequested("a person")))
    torn = to_text(Line(3, 0.0, 0.0, digest(whole[-1]), StopRequested("✓✓✓"))).encode()
    inside = torn.index("✓".encode()) + cut
    (tmp_path / "journal.jsonl").write_bytes("".join(text + "\n" for text in whole).encode() + torn[:inside])
    assert len(RunFolder(tmp_path).lines()) == 2


def test_a_line_that_is_added_to_a_run_that_is_over_is_part_of_the_chain_and_of_no_other_moment(tmp_path: Path):
    folder = RunFolder.make(tmp_path, "t", "quick", "1")
    writer = JournalWriter(folder.path / "journal.jsonl")
    for sequence in range(3):
        writer.add(StateEntered(State.ended, str(sequence)), float(sequence), 100.0 + sequence)
    writer.close()
    added = folder.add(Projected("the arms"), folder.lines()[-1])
    lines = folder.lines()
    assert lines[-1].record == Projected("the arms")
    assert (lines[-1].at_s, lines[-1].wall_s) == (2.0, 102.0)
    assert len(lines) == 4
    assert lines[-1] == added


def test_nothing_is_added_to_a_journal_that_a_full_disk_has_cut(tmp_path: Path):
    folder = RunFolder.make(tmp_path, "t", "quick", "1")
    writer = JournalWriter(folder.path / "journal.jsonl")
    for number in range(3):
        writer.add(StateEntered(State.ended, str(number)), float(number), 100.0 + number)
    writer.close()
    last = folder.lines()[-1]
    path = folder.path / "journal.jsonl"
    for cut in (1, 20):
        whole = path.read_bytes()
        path.write_bytes(whole[:-cut])
        with pytest.raises(NoFolder, match="does not end with the run's last line"):
            folder.add(Projected("the arms"), last)
        assert path.read_bytes() == whole[:-cut]


def test_what_is_packed_is_read_as_it_was_and_nothing_that_is_damaged(tmp_path: Path):
    folder = RunFolder.make(tmp_path, "t", "quick", "1")
    with pytest.raises(NoFolder, match="there is no telemetry"):
        folder.packed("telemetry.jsonl.gz")
    path = folder.write_packed("telemetry.jsonl.gz", ["a", "é", ""])
    assert folder.packed("telemetry.jsonl.gz") == ["a", "é", ""]
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(NoFolder, match="cannot be read"):
        folder.packed("telemetry.jsonl.gz")
