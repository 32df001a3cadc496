"""Recordings are read by several processes: the same store, the same errors, and nothing left behind."""

from __future__ import annotations

import errno
import gzip
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import relcon_lightning.data.workers as workers_module
from relcon_lightning.data import CohortStore, Recording
from relcon_lightning.data.prepare import Reading, prepare
from relcon_lightning.data.sources.device import DeviceFolder
from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.data.sources.motionsense import MotionSense
from relcon_lightning.data.sources.simulated import SimulatedCohort
from relcon_lightning.data.store.manifest import checksum
from relcon_lightning.data.units import Divisible
from relcon_lightning.data.workers import read_units
from relcon_lightning.errors import ConfigError, DataError
from tests.data.acting_units import INFO, Units
from tests.data.readers.devices import counts_of, cwa, geneactiv, gt3x
from tests.data.sources.test_motionsense import motion

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = SHARED / "device_samples"
AT_ONCE = Reading(num_workers=2, start_s=0.0)


def content(store: CohortStore) -> dict[str, str]:
    root = Path(store.path)
    return {path.relative_to(root).as_posix(): checksum(path) for path in root.rglob("*") if path.is_file()}


def test_the_store_does_not_depend_on_the_number_of_processes(tmp_path, caplog):
    source, told = Units(*["pid"] * 7), {}
    source.parent = -1  # so that this process may read too
    for workers in (1, 2, 3):
        caplog.clear()
        store = prepare(source, tmp_path / f"by{workers}" / "toy", 100.0, reading=replace(AT_ONCE, num_workers=workers))
        told[workers] = (content(store), [record.getMessage() for record in caplog.records])
    assert told[1] == told[2] == told[3]
    assert len(store.recordings) == 14
    assert [text for text in told[2][1] if "was seen" in text] == [f"{i}-pid was seen" for i in range(7)]
    assert "scratch" not in {path.name for path in Path(store.path).iterdir()}


def test_processes_read_what_this_one_has_not_read_by_then(tmp_path):
    prepare(
        Units(*["pid"] * 3), tmp_path / "toy", reading=AT_ONCE
    )  # the last unit of one is read here: it is not worth it
    with pytest.raises(AssertionError):
        prepare(Units(*["pid"] * 3), tmp_path / "other", reading=Reading(num_workers=2))


@pytest.mark.parametrize(("units", "begins"), [(5, None), (6, None), (9, 3), (100, 3)])
def test_processes_are_started_only_for_what_takes_longer_than_to_start_them(monkeypatch, units, begins):
    now, started = [0.0], []

    def read(number: int, unit: str) -> str:
        now[0] += 1.0
        return unit

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        workers_module, "_in_processes", lambda *given: started.append(given[2]) or given[1][given[2] :]
    )
    names = [str(number) for number in range(units)]
    assert list(read_units(read, names, 2, start_s=3.0)) == names  # two processes save half a second per unit
    assert started == ([] if begins is None else [begins])


def test_processes_import_only_what_reads_and_do_not_run_the_program_again(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from relcon_lightning.data.prepare import Reading, prepare\n"
        "from tests.data.acting_units import Units\n"
        "import torch\n"
        "print('begun')\n"
        f"prepare(Units('pid', 'lean', 'lean'), {str(tmp_path / 'toy')!r}, reading=Reading(num_workers=2, start_s=0))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, program], env=environment, text=True, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("begun") == 1


def test_a_fork_of_a_process_that_has_had_readers_can_have_readers_too(tmp_path):
    prepare(Units(*["fine"] * 3), tmp_path / "first", reading=AT_ONCE)
    process = multiprocessing.get_context("fork").Process(
        target=prepare, args=(Units(*["pid"] * 3), tmp_path / "second"), kwargs={"reading": AT_ONCE}
    )
    process.start()
    process.join(120)
    assert process.exitcode == 0
    assert len(CohortStore.open(tmp_path / "second").recordings) == 6


def device_files(folder: Path) -> None:
    """A file of each device, of a real one where there is one, packed ones, and one with a gap."""
    folder.mkdir()
    times = np.arange(2000) / 100
    still = np.stack([0.1 + 0 * times, 0.05 * np.sin(times), 0.95 + 0 * times], 1)
    gap = np.where(times < 10, times, times + 30)
    contents = {
        "a.cwa": cwa(times, still),
        "b.cwa.gz": gzip.compress(cwa(times, still, bits=10)),
        "c.cwa": cwa(gap, still, axes=6),
        "d.bin": geneactiv([counts_of(6 * page, 50).repeat(6, 0) for page in range(3)], zone="GMT +01:00"),
        "d2.bin": geneactiv([counts_of(6 * page, 50).repeat(6, 0) for page in range(3)], zone="GMT +01:00"),
        "e.gt3x": gt3x(20, drop=(7, 8, 9)),
        "f.gt3x": gt3x(20, rate=100, kind=26),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    if REAL.is_dir():
        for name in ("ax3_sample.cwa", "gnactv_sample.bin"):
            shutil.copy(REAL / name, folder / name)


def device_folder(folder: Path) -> DeviceFolder:
    return DeviceFolder(folder, r"^[a-z0-9]+", lenient=True, time_zone="Europe/London")


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_the_store_of_device_files_does_not_depend_on_the_number_of_processes(tmp_path, dtype, caplog):
    device_files(tmp_path / "raw")
    told = {}
    for workers in (1, 2, 3):
        caplog.clear()
        source = device_folder(tmp_path / "raw")
        reading = replace(AT_ONCE, num_workers=workers, dtype=dtype)
        store = prepare(source, tmp_path / f"by{workers}" / "toy", 100.0, reading=reading)
        told[workers] = (content(store), [record.getMessage() for record in caplog.records])
    assert told[1] == told[2] == told[3]
    assert sum("the device clock is at UTC+01:00" in text for text in told[3][1]) == 1  # of two files
    assert {"a", "b", "c", "d", "d2", "e", "f"} <= set(store.participants["participant_id"])
    assert {"c.cwa#1", "c.cwa#2", "e.gt3x#1", "e.gt3x#2"} <= set(store.recordings["recording_id"])


def test_what_is_read_by_units_is_what_is_read_in_one_go(tmp_path):
    source = SimulatedCohort(3, minutes=0.1, laps=1)
    store = prepare(source, tmp_path / "toy", reading=AT_ONCE)
    made = {recording.recording_id: recording for recording in source.recordings()}
    assert set(store.recordings["recording_id"]) == set(made)
    for name, recording in made.items():
        np.testing.assert_array_equal(
            store.read(name, 0, len(recording.signal)), recording.signal.astype(np.float32), err_msg=name
        )


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_file_ends_it_or_is_left_out_as_asked(tmp_path, workers, caplog):
    source, reading = Units("fine", "bad", "fine"), replace(AT_ONCE, num_workers=workers)
    with pytest.raises(DataError, match="1-bad is damaged"):
        prepare(source, tmp_path / "toy", reading=reading)
    assert list(tmp_path.iterdir()) == []
    store = prepare(source, tmp_path / "toy", reading=replace(reading, on_bad_file="skip"))
    assert store.recordings["recording_id"].tolist() == ["0-fine-a", "0-fine-b", "2-fine-a", "2-fine-b"]
    assert store.excluded == {"1-bad": "1-bad is damaged"}
    assert "Left out 1-bad: 1-bad is damaged" in caplog.text


def test_what_is_not_read_by_files_cannot_leave_one_out(tmp_path):
    class Whole:
        info = INFO

        def recordings(self) -> Iterator[Recording]:
            raise AssertionError

    with pytest.raises(ConfigError, match="on_bad_file=skip: toy is not read file by file"):
        prepare(Whole(), tmp_path / "toy", reading=Reading(on_bad_file="skip"))
    with pytest.raises(ConfigError, match="on_bad_file=ignore: expected stop or skip"):
        Reading(on_bad_file="ignore")


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("killed", DataError, r"was killed.*memory.*data\.num_workers=1"),
        ("full", OSError, "No space left on device"),
    ],
)
def test_a_process_that_fails_leaves_the_old_store_and_no_process(tmp_path, kind, error, message):
    prepare(Units("fine"), tmp_path / "toy")
    before = content(CohortStore.open(tmp_path / "toy"))
    with pytest.raises(error, match=message) as caught:
        prepare(Units("fine", kind, "slow", "slow"), tmp_path / "toy", overwrite=True, reading=AT_ONCE)
    assert kind != "full" or caught.value.errno == errno.ENOSPC
    assert content(CohortStore.open(tmp_path / "toy")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]
    assert multiprocessing.active_children() == []


def test_processes_end_with_the_first_one_even_when_that_is_killed(tmp_path):
    context = multiprocessing.get_context("fork")
    process = context.Process(
        target=prepare, args=(Units(*["slow"] * 4), tmp_path / "toy"), kwargs={"reading": AT_ONCE}
    )
    process.start()
    try:
        _wait(lambda: len(_writing_below(tmp_path)) == 2, 60)
    finally:
        process.kill()
        process.join()
    _wait(lambda: not _writing_below(tmp_path), 20)
    assert not (tmp_path / "toy").exists()
    prepare(Units("fine"), tmp_path / "toy")
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def _writing_below(folder: Path) -> set[str]:
    """The processes that write samples there."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            files = [str(file.readlink()) for file in (process / "fd").iterdir()]
            if any(file.startswith(f"{folder}/") and file.endswith(".samples") for file in files):
                found.add(process.name)
    return found


def _wait(found, seconds: float):
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return value


def walk(folder: Path, people: int) -> Path:
    folder.mkdir(exist_ok=True)
    for person in range(people):
        t = np.arange(0, 4, 1 / 50)
        rows = "\n".join(f"{s:.2f},{0.1 * np.sin(s):.4f},0.0,{1 + person / 100:.3f}" for s in t)
        (folder / f"p{person}.csv").write_text(f"time,x,y,z\n{rows}\n")
    return folder


def test_files_in_a_folder_and_in_an_archive_are_read_by_processes(tmp_path):
    source = RecordingFolder(walk(tmp_path / "walks", 5), participant=r"p\d", time_column="time")
    folder = prepare(source, tmp_path / "folder", reading=AT_ONCE)
    assert folder.participants["participant_id"].tolist() == [f"p{i}" for i in range(5)]
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for person in range(1, 6):
            archive.writestr(f"A_DeviceMotion_data/dws_1/sub_{person}.csv", motion(300 + person))
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(tmp_path / "set.zip", "set.zip")
    for name in ("set", "outer"):  # each process opens the archive itself, also one in another
        source = MotionSense(tmp_path / f"{name}.zip")
        assert isinstance(source, Divisible)
        store = prepare(source, tmp_path / name, reading=AT_ONCE)
        assert store.recordings["n_samples"].tolist() == [2 * (300 + person) for person in range(1, 6)]
        assert pickle.loads(pickle.dumps(source)).files.keys() == source.files.keys()
