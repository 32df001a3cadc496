"""Empatica E4 sessions: folders and archives as they come from the device, read by prepare and embed alike."""

from __future__ import annotations

import gzip
import logging
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from relcon_lightning.data.inputs import find_inputs
from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.resample import resample
from relcon_lightning.data.sources.device import DeviceFolder
from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.data.stream import pieces_of
from relcon_lightning.errors import DataError

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
REAL = SHARED / "empatica_stress" / "data.tar.xz"
START = 1644226061
PERSON = r"^[^/_.]+"
LAYOUT = Layout(time_column="time")
HEADER = f"{', '.join([f'{START}.000000'] * 3)}\n{', '.join(['32.000000'] * 3)}\n"
OTHERS = {
    "BVP.csv": f"{START}.0\n64.0\n-0.0\n1.5\n",
    "EDA.csv": f"{START}.0\n4.0\n0.1\n0.2\n",
    "HR.csv": f"{START}.0\n1.0\n70.1\n71.2\n",
    "IBI.csv": f"{START}.0, IBI\n1.5,0.8\n",
    "TEMP.csv": f"{START}.0\n4.0\n33.1\n33.2\n",
    "tags.csv": f"{START + 60}.18\n",
    "info.txt": ".csv files in this archive are in the following format:\n",
}


def counts(seconds: float, seed: int = 0) -> np.ndarray:
    """A moving wrist ``(n, 3)`` in 1/64 g."""
    generator = np.random.default_rng(seed)
    times = np.arange(round(seconds * 32)) / 32
    swing = 20 * np.sin(2 * np.pi * 1.5 * times)[:, None] + generator.normal(0, 2, (len(times), 3))
    return np.round(swing + np.array([0, 20, 60])).astype(int)


def acceleration(signal: np.ndarray, header: str = HEADER) -> str:
    """Text of an ACC.csv."""
    return header + "".join(f"{x},{y},{z}\n" for x, y, z in signal)


def session(folder: Path, signal: np.ndarray, **names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names.get("name", "ACC.csv")).write_text(acceleration(signal))
    for name, text in OTHERS.items():
        (folder / name).write_text(text)
    return folder


def zipped(path: Path, signal: np.ndarray, inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{inside}ACC.csv", acceleration(signal))
        for name, text in OTHERS.items():
            archive.writestr(f"{inside}{name}", text)
    return path


def test_sessions_become_recordings_of_their_people(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    signals = {f"P{i}": counts(20, seed=i) for i in range(4)}
    session(tmp_path / "P0", signals["P0"])
    session(tmp_path / "P1", signals["P1"], name="P1_ACC.csv")
    zipped(tmp_path / "P2_A00204.zip", signals["P2"])
    (tmp_path / "P3").mkdir()
    (tmp_path / "P3" / "acc.csv.gz").write_bytes(gzip.compress(acceleration(signals["P3"]).encode()))
    (tmp_path / "P3" / "notes.csv").write_text("said,when\n")
    with caplog.at_level(logging.INFO):
        found = {one.participant_id: one for one in DeviceFolder(tmp_path, PERSON).recordings()}
    assert {one.recording_id for one in found.values()} == {"P0/ACC", "P1/P1_ACC", "P2_A00204", "P3/acc"}
    for person, signal in signals.items():
        assert (found[person].sampling_rate, found[person].start_time) == (32.0, START)
        np.testing.assert_array_equal(found[person].signal, (signal / 64).astype(np.float32))
    assert "skipped 14 files beside ACC.csv of Empatica sessions" in caplog.text
    assert "BVP.csv, EDA.csv, HR.csv, IBI.csv, TEMP.csv, info.txt, tags.csv" in caplog.text
    assert "skipped 1 file (1 x .csv): P3/notes.csv" in caplog.text
    assert caplog.text.count("read as empatica") == 1  # once for all files


@pytest.mark.parametrize("target_rate", [100.0, 50.0, 20.0])
def test_prepare_and_embed_read_the_same_windows(tmp_path: Path, target_rate: float) -> None:
    raw = tmp_path / "raw"
    session(raw / "P1", counts(30))
    zipped(raw / "P2.zip", counts(40, seed=1), inside="1644226061_A00204/")
    store = prepare(DeviceFolder(raw, PERSON), tmp_path / "store", target_rate)
    inputs = find_inputs(raw, LAYOUT)
    assert [one.recording_id for one in inputs] == list(store.recordings["recording_id"]) == ["P1/ACC", "P2"]
    for one, samples in zip(inputs, store.recordings["n_samples"], strict=True):
        opened = one.open()
        assert (opened.start_time, one.stamped) == (START, True)
        pieces = list(pieces_of(opened.blocks, opened.rate, target_rate, 1.0))
        embedded = np.concatenate([piece.signal for piece in pieces])
        np.testing.assert_allclose(store.read(one.recording_id, 0, samples), embedded, atol=1e-5)


def test_folder_embed_and_device_give_the_same_samples(tmp_path: Path) -> None:
    signal = counts(20)
    signal[200:300] = 0  # a gap of three seconds
    session(tmp_path / "P1", signal)
    device, folder = (
        list(source.recordings())
        for source in (
            DeviceFolder(tmp_path, PERSON),
            RecordingFolder(tmp_path, participant=PERSON, time_column="time"),
        )
    )
    assert [one.recording_id for one in device] == [one.recording_id for one in folder] == ["P1/ACC#1", "P1/ACC#2"]
    for one, other, part in zip(device, folder, (slice(0, 200), slice(300, None)), strict=True):
        np.testing.assert_array_equal(one.signal, (signal[part] / 64).astype(np.float32))
        np.testing.assert_array_equal(one.signal, other.signal)
        assert one.start_time == other.start_time == START + part.start / 32


def test_the_start_is_in_utc_whatever_the_time_zone(tmp_path: Path) -> None:
    session(tmp_path / "P1", counts(5))
    [found] = DeviceFolder(tmp_path, PERSON, time_zone="+05:00").recordings()
    assert found.start_time == START


DAMAGED = {
    "rate_missing": (HEADER.splitlines()[0] + "\n", r"line 2 must hold the sampling rate in Hz \(32\)"),
    "rate_zero": (HEADER.replace("32.0", "0.0"), r"line 2 must hold .*found '0.000000,0.000000,0.000000'"),
    "rate_text": (HEADER.replace("32.000000", "fast"), r"line 2 must hold .*found 'fast,fast,fast'"),
    "rate_negative": (HEADER.replace("32.0", "-32.0"), "line 2 must hold"),
    "rate_not_a_number": (HEADER.replace("32.000000", "nan"), "line 2 must hold"),
    "rates_differ": (HEADER.replace("32.000000", "64.000000", 1), "line 2 must hold"),
    "start_in_ms": (HEADER.replace(f"{START}.", f"{START}000."), "which are milliseconds; divide them by 1000"),
    "start_in_us": (HEADER.replace(f"{START}.", f"{START}000000."), "which are microseconds"),
    "start_text": (HEADER.replace(f"{START}.000000", "2022-02-07 09:27:41"), "line 1 must hold the start"),
    "start_missing": (HEADER.splitlines()[1] + "\n", "line 1 must hold the start in Unix seconds"),
    "no_header": ("", "line 1 must hold the start"),
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_header_is_refused_by_name(tmp_path: Path, name: str, packed: bool) -> None:
    header, reason = DAMAGED[name]
    text = acceleration(counts(5), header)
    if packed:
        with zipfile.ZipFile(tmp_path / "P1.zip", "w") as archive:
            archive.writestr("ACC.csv", text)
            archive.writestr("BVP.csv", OTHERS["BVP.csv"])
    else:
        (session(tmp_path / "P1", counts(5)) / "ACC.csv").write_text(text)
    message = f"{'P1.zip' if packed else 'P1/ACC.csv'} is not the acceleration of an Empatica E4 session: .*{reason}"
    with pytest.raises(DataError, match=message):
        list(DeviceFolder(tmp_path, PERSON).recordings())
    [one] = find_inputs(tmp_path, LAYOUT)
    with pytest.raises(DataError, match=message):
        one.open()


@pytest.mark.parametrize("lines", [1, 2])
def test_a_session_without_samples_is_refused(tmp_path: Path, lines: int) -> None:
    (tmp_path / "ACC.csv").write_text("".join(HEADER.splitlines(keepends=True)[:lines]))
    with pytest.raises(DataError, match=r"ACC.csv is not the acceleration.*(ends after line 1|contains no samples)"):
        list(DeviceFolder(tmp_path, "ACC").recordings())


def test_another_rate_than_that_of_the_device_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ACC.csv").write_text(acceleration(counts(20), HEADER.replace("32.0", "64.0")))
    [found] = DeviceFolder(tmp_path, "ACC").recordings()
    assert found.sampling_rate == 64
    assert "states 64 Hz; an Empatica E4 records 32 Hz" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        HEADER.replace(", ", ";").replace(".0", ",0"),
        "﻿" + HEADER,
        f"{START}\n32\n",
        f"{START},,\n32,,\n",
        HEADER.replace(".000000", ""),
    ],
    ids=["semicolons", "bom", "one_cell", "empty_cells", "integers"],
)
def test_headers_that_spreadsheets_write_are_read(tmp_path: Path, text: str) -> None:
    signal = counts(5)
    rows = acceleration(signal, "").replace(",", ";" if ";" in text else ",")
    (tmp_path / "ACC.csv").write_text(text + rows, encoding="utf-8")
    [found] = DeviceFolder(tmp_path, "ACC").recordings()
    assert (found.sampling_rate, found.start_time) == (32.0, START)
    np.testing.assert_array_equal(found.signal, (signal / 64).astype(np.float32))


def test_a_users_table_of_that_name_stays_a_table(tmp_path: Path) -> None:
    rows = "".join(f"{i / 32},{x / 64},{y / 64},{z / 64}\n" for i, (x, y, z) in enumerate(counts(5)))
    (tmp_path / "acc.csv").write_text(f"time,x,y,z\n{rows}")
    [one] = find_inputs(tmp_path, LAYOUT)
    assert one.open().rate == pytest.approx(32)
    with pytest.raises(DataError, match=r"acc\.csv is not the acceleration of an Empatica E4 session"):
        list(DeviceFolder(tmp_path, "acc").recordings())


def test_other_tables_are_sessions_only_if_they_are_chosen(tmp_path: Path) -> None:
    (tmp_path / "P1.csv").write_text(acceleration(counts(5)))
    with pytest.raises(DataError, match=r"has no recordings.*Empatica E4 sessions.*Tables are read with data=folder"):
        DeviceFolder(tmp_path, "P1")
    [found] = DeviceFolder(tmp_path, "P1", files="P*.csv").recordings()
    assert found.sampling_rate == 32


def test_files_like_those_of_a_session_are_recordings_elsewhere(tmp_path: Path) -> None:
    rows = "".join(f"{i / 32},{x / 64},{y / 64},{z / 64}\n" for i, (x, y, z) in enumerate(counts(5)))
    for name in ("HR.csv", "tags.csv"):
        (tmp_path / name).write_text(f"time,x,y,z\n{rows}")
    assert [one.recording_id for one in find_inputs(tmp_path, LAYOUT)] == ["HR", "tags"]


def test_a_session_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    session(tmp_path / "P1", counts(5))
    zipped(tmp_path / "P1.zip", counts(5))
    with pytest.raises(DataError, match=r"P1.zip and .*P1/ACC.csv are the same recording|P1/ACC.csv and .*P1.zip are"):
        DeviceFolder(tmp_path, PERSON)
    with pytest.raises(DataError, match="are the same recording"):
        find_inputs(tmp_path, LAYOUT)
    with pytest.raises(DataError, match="are the same recording"):
        RecordingFolder(tmp_path, participant=PERSON, time_column="time")


def test_a_damaged_archive_is_not_passed_over(tmp_path: Path) -> None:
    session(tmp_path / "P1", counts(5))
    whole = zipped(tmp_path / "P2.zip", counts(5)).read_bytes()
    (tmp_path / "P2.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"P2\.zip"):
        list(DeviceFolder(tmp_path, PERSON).recordings())


def test_a_file_as_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"P1.zip is a file: give the folder that contains it"):
        DeviceFolder(zipped(tmp_path / "P1.zip", counts(5)), PERSON)


@pytest.mark.skipif(not REAL.is_file(), reason=f"no files at {REAL}")
def test_real_sessions_are_read_as_written(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    with tarfile.open(REAL) as archive:
        archive.extract("Raw_data/S35/ACC.csv", raw, filter="data")
    path = raw / "Raw_data" / "S35" / "ACC.csv"
    start, rate, *rows = (tuple(map(float, line.split(","))) for line in path.read_text().splitlines())
    expected = np.array(rows) / 64
    store = prepare(DeviceFolder(raw, r"S\d+"), tmp_path / "store")
    [one] = find_inputs(raw, LAYOUT, participant=r"S\d+")
    opened = one.open()
    assert (opened.rate, opened.start_time) == (rate[0], start[0]) == (32.0, store.recordings["start_time"][0])
    pieces = pieces_of(opened.blocks, 32.0, 100.0, 1.0)
    embedded = np.concatenate([piece.signal for piece in pieces])
    samples = store.recordings["n_samples"][0]
    prepared = store.read("Raw_data/S35/ACC", 0, samples)
    np.testing.assert_allclose(prepared, embedded, atol=1e-5)
    np.testing.assert_allclose(prepared, resample(expected, 32.0, 100.0), atol=1e-5)
