from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relcon_lightning.data import Segment
from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.errors import DataError
from tests.data.readers.test_suffixes import PACKED

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
WRIST = SHARED / "multigait_wrist" / "examples" / "example_data"


def frame(seconds: float = 4, rate: float = 50, level: float = 1.0) -> pd.DataFrame:
    """A sensor at rest with ``level`` on z that counts its samples on x, stamped in seconds."""
    n = round(seconds * rate)
    return pd.DataFrame({"time": 100 + np.arange(n) / rate, "x": np.arange(n) / 1e5, "y": 0.0, "z": level})


def put(root: Path, name: str, table: pd.DataFrame | str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet" and not isinstance(table, str):
        table.to_parquet(path, index=False)
        return path
    content = (table if isinstance(table, str) else table.to_csv(index=False)).encode()
    path.write_bytes(PACKED.get(path.suffix, bytes)(content))
    return path


def source(root: Path, **options: object) -> RecordingFolder:
    return RecordingFolder(root, **{"time_column": "time", "participant": "[^/_]+", **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".csv", ".csv.xz", ".csv.gz", ".parquet"])
def test_a_file_is_a_recording_of_the_person_in_its_path(tmp_path: Path, suffix: str) -> None:
    put(tmp_path, f"anna/walk{suffix}", frame())
    put(tmp_path, f"bo_1{suffix}", frame(2))
    walk, other = source(tmp_path).recordings()
    assert [(r.recording_id, r.participant_id) for r in (walk, other)] == [("anna/walk", "anna"), ("bo_1", "bo")]
    assert walk.sampling_rate == pytest.approx(50)
    assert (walk.start_time, walk.segments) == (None, ())
    np.testing.assert_allclose(walk.signal, frame()[["x", "y", "z"]], atol=1e-9)


def test_the_whole_way_to_a_store(tmp_path: Path) -> None:
    put(tmp_path, "raw/anna_1.csv", frame())
    store = prepare(source(tmp_path / "raw", name="mine", position="ankle"), tmp_path / "store")
    assert (store.info.name, store.info.position, store.sampling_rate) == ("mine", "ankle", 100)
    assert store.recordings["n_samples"].tolist() == [400]


@pytest.mark.parametrize(("unit", "level"), [("g", 1), ("m/s^2", 9.80665), ("m/s2", 9.80665), ("mg", 1000)])
def test_units(tmp_path: Path, unit: str, level: float) -> None:
    put(tmp_path, "a.csv", frame(level=level))
    [recording] = source(tmp_path, unit=unit).recordings()
    np.testing.assert_allclose(recording.signal[:, 2], 1)


@pytest.mark.parametrize(("unit", "level"), [("g", 9.8), ("m/s^2", 1), ("mg", 1), ("g", 0.01)])
def test_a_wrong_unit_names_the_file(tmp_path: Path, unit: str, level: float) -> None:
    path = put(tmp_path, "a.csv", frame(level=level))
    with pytest.raises(DataError, match=rf"{path}, read with data\.source\.unit=.*median norm"):
        list(source(tmp_path, unit=unit).recordings())


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_time_units(tmp_path: Path, unit: str, scale: float) -> None:
    table = frame()
    table["time"] = (table["time"] * scale).round(9)
    put(tmp_path, "a.csv", table.astype({"time": float if unit == "s" else int}))
    [recording] = source(tmp_path, time_unit=unit).recordings()
    assert recording.sampling_rate == pytest.approx(50)
    assert len(recording.signal) == 200
    wrong = {"s": "ns", "ms": "s", "us": "ms", "ns": "s"}[unit]
    with pytest.raises(DataError, match=r"a\.csv: .*is their unit right"):
        list(source(tmp_path, time_unit=wrong).recordings())


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_iso_times_give_the_start(tmp_path: Path, suffix: str) -> None:
    table = frame()
    table["time"] = pd.to_datetime("2025-03-14T14:39:53.5Z") + pd.to_timedelta(table["time"] - 100, unit="s")
    put(tmp_path, f"a{suffix}", table)
    [recording] = source(tmp_path, time_unit="iso").recordings()
    assert recording.sampling_rate == pytest.approx(50)
    assert recording.start_time == pytest.approx(pd.Timestamp("2025-03-14T14:39:53.5Z").timestamp(), abs=1e-6)


def test_iso_times_with_and_without_fraction_and_offsets(tmp_path: Path) -> None:
    stamps = [
        f"2025-03-14 14:39:53{fraction}{zone}" for fraction, zone in [("", "Z"), (".1", "Z"), (".200000001", "Z")]
    ]
    stamps += ["2025-03-14 15:39:53.3+01:00", *(f"2025-03-14T14:39:{53 + i / 10:.1f}Z" for i in range(4, 30))]
    put(tmp_path, "a.csv", frame(3, 10).assign(time=stamps))
    [recording] = source(tmp_path, time_unit="iso").recordings()
    assert (recording.sampling_rate, len(recording.signal)) == (pytest.approx(10), 30)


def rounded(segment: Segment) -> Segment:
    return replace(segment, start_s=round(segment.start_s, 6), end_s=round(segment.end_s, 6))


def test_a_gap_parts_signal_start_and_segments(tmp_path: Path) -> None:
    table = frame(10)
    table["time"] = pd.to_datetime("2025-01-01T00:00:00Z") + pd.to_timedelta(table["time"] - 100, unit="s")
    put(tmp_path, "a.csv", table.drop(range(200, 300)))  # from 4 s to 6 s
    put(tmp_path, "segments.csv", "file,start_s,end_s,label,speed\na.csv,1,7,walk,1.5\na.csv,4.2,5.5,none,\n")
    first, second = source(tmp_path, time_unit="iso").recordings()
    assert [first.recording_id, second.recording_id] == ["a#1", "a#2"]
    assert [len(first.signal), len(second.signal)] == [200, 200]
    assert second.start_time == pytest.approx(first.start_time + 6)
    assert [rounded(s) for s in first.segments] == [Segment(1, 4, "walk", {"speed": 1.5})]
    assert [rounded(s) for s in second.segments] == [Segment(0, 1, "walk", {"speed": 1.5})]
    assert len(list(source(tmp_path, time_unit="iso", max_gap_s=3).recordings())) == 1


def test_missing_values_are_filled_or_part(tmp_path: Path) -> None:
    table = frame(10)
    table.loc[50, "y"] = np.nan
    table.loc[60, "time"] = np.nan
    table.loc[100:199, "z"] = np.nan
    for options in ({}, {"time_column": None, "sampling_rate": 50}):
        put(tmp_path, "a.csv", table.fillna({"time": 0}) if options else table)
        first, second = source(tmp_path, **options).recordings()
        assert [len(first.signal), len(second.signal)] == [100, 300]
        np.testing.assert_allclose(first.signal[:, 0], np.arange(100) / 1e5, atol=1e-9)


def test_without_time_stamps_the_rate_is_given(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", frame().drop(columns="time"))
    made = source(tmp_path, time_column=None, sampling_rate=25)
    [recording] = made.recordings()
    assert (recording.sampling_rate, len(recording.signal), made.info.sampling_rate) == (25, 200, 25)


def test_stamps_rule_and_a_configured_rate_must_be_theirs(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", frame(4, 49.5))
    [recording] = source(tmp_path, sampling_rate=50).recordings()
    assert (recording.sampling_rate, len(recording.signal)) == (50, 199)
    with pytest.raises(DataError, match=r"a\.csv: the time stamps imply 49\.5 Hz, not the 100 Hz"):
        list(source(tmp_path, sampling_rate=100).recordings())


def test_the_table_says_who_and_what(tmp_path: Path) -> None:
    put(tmp_path, "x/1.csv", frame())
    put(tmp_path, "2.csv", frame())
    put(tmp_path, "recordings.csv", "participant,file,label\n007,x/1.csv,walk\n 7 ,2.csv,\n")
    first, second = source(tmp_path, participant=None).recordings()
    assert [(r.recording_id, r.participant_id) for r in (first, second)] == [("x/1", "007"), ("2", "7")]
    assert [(s.start_s, s.end_s, s.label) for s in first.segments] == [(0, pytest.approx(4), "walk")]
    assert second.segments == ()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "[Ee]mpty"),
        ("file,participant\n", "no rows"),
        ("file,person\na.csv,1\n", "no column 'participant'"),
        ("File,participant\na.csv,1\n", r"no column 'file' \(did you mean 'File'\?\)"),
        ("file,participant\na.csv,1\nb.csv,\n", r"row 2: b\.csv has no participant"),
        ("file,participant\na.csv,1\na.csv,2\n", r"row 2: a\.csv occurs twice"),
        ("file,participant\na.csv,1\n", r"does not list b\.csv"),
        ("file,participant\na.cvs,1\n", r"row 1: there is no recording 'a\.cvs' \(did you mean 'a\.csv'\?\)"),
        ("file,participant\n../../etc/passwd,1\n", "row 1: there is no recording"),
        ("file,participant,age\na.csv,1,old\n", "old"),
    ],
)
def test_mistakes_in_the_table_are_named(tmp_path: Path, table: str, message: str) -> None:
    put(tmp_path, "a.csv", frame())
    put(tmp_path, "b.csv", frame())
    put(tmp_path, "recordings.csv", table)
    with pytest.raises(DataError, match=rf"recordings\.csv.*{message}"):
        source(tmp_path, participant=None)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.csv,2,1,walk,1", "row 1: expected 0 <= start_s < end_s, found 2 and 1"),
        ("a.csv,-1,1,walk,1", "row 1: expected 0"),
        ("a.csv,,1,walk,1", "row 1: expected 0"),
        ("a.csv,0,inf,walk,1", "row 1: expected 0"),
        ("c.csv,0,1,walk,1", r"row 1: there is no recording 'c\.csv'"),
        ("a.csv,0,1,walk,fast", "fast"),
        ("a.csv,0,1", "5 columns, got 3"),
        ("a.csv,0,6,walk,1", r"a\.csv ends after 4\.00 s, but its segment 0-6 s ends later"),
    ],
)
def test_mistakes_in_segments_are_named(tmp_path: Path, rows: str, message: str) -> None:
    put(tmp_path, "a.csv", frame())
    put(tmp_path, "segments.csv", f"file,start_s,end_s,label,speed\n{rows}\n")
    with pytest.raises(DataError, match=rf"segments\.csv.*{message}"):
        list(source(tmp_path).recordings())


def test_a_label_and_segments_of_one_file_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", frame())
    put(tmp_path, "recordings.csv", "file,participant,label\na.csv,1,walk\n")
    put(tmp_path, "segments.csv", "file,start_s,end_s\na.csv,0,1\n")
    with pytest.raises(DataError, match=r"a\.csv has a label in recordings\.csv and segments"):
        source(tmp_path)


@pytest.mark.skipif(not WRIST.is_dir(), reason=f"the MultiGait files are not at {WRIST}")
def test_a_real_wrist_recording() -> None:
    columns = ["acc_is", "acc_ml", "acc_pa"]
    options = {"columns": columns, "unit": "m/s^2", "time_unit": "iso", "participant": "^data"}
    [recording] = source(WRIST, **options).recordings()
    assert recording.sampling_rate == pytest.approx(100, rel=1e-3)
    assert len(recording.signal) == pytest.approx(13565, abs=5)
    np.testing.assert_allclose(recording.signal[0] * 9.80665, [4.27271607, -6.99585435, 4.44036897], atol=1e-6)
    assert recording.start_time == pytest.approx(pd.Timestamp("2025-03-14 14:39:53.859Z").timestamp(), abs=1e-3)
