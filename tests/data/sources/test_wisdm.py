from __future__ import annotations

import lzma
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.resample import check_unit
from relcon_lightning.data.sources.wisdm import ACTIVITIES, Wisdm
from relcon_lightning.errors import DataError

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
REAL = SHARED / "wisdm2019"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the WISDM files are not at {REAL}")
FOLDER = Path("wisdm-dataset/raw/watch/accel")


def lines(subject: int, letter: str, times: np.ndarray, start: int = 90426708196641) -> str:
    """Rows as published: a wrist that rests with 1 g on z and counts its samples on x, in m/s^2."""
    return "".join(
        f"{subject},{letter},{start + round(t * 1e9)},{0.001 * i:.6f},-0.5,9.80665;\n" for i, t in enumerate(times)
    )


def put(root: Path, subject: int, text: str, xz: bool = False) -> Path:
    path = root / FOLDER / f"data_{subject}_accel_watch.txt{'.xz' if xz else ''}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(text.encode()) if xz else text.encode())
    return path


def steady(seconds: float, rate: float = 20.0) -> np.ndarray:
    return np.arange(round(seconds * rate)) / rate


def test_values_units_rate_label_and_participant(tmp_path: Path) -> None:
    put(tmp_path, 1601, lines(1601, "B", steady(3)), xz=True)
    put(tmp_path, 1600, lines(1600, "A", steady(5)) + lines(1600, "S", steady(2), start=7))
    walking, folding, jogging = Wisdm(tmp_path).recordings()
    assert [r.recording_id for r in (walking, folding, jogging)] == [
        "wisdm-1600-walking",
        "wisdm-1600-folding",
        "wisdm-1601-jogging",
    ]
    assert walking.participant_id == "wisdm-1600"
    assert walking.sampling_rate == pytest.approx(20)
    assert walking.start_time is None
    expected = np.stack([0.001 * np.arange(100), np.full(100, -0.5), np.full(100, 9.80665)], 1) / 9.80665
    np.testing.assert_allclose(walking.signal, expected, atol=1e-6)
    [segment] = walking.segments
    assert (segment.start_s, segment.label) == (0, "walking")
    assert segment.end_s == pytest.approx(5)


def test_a_recording_stamped_at_another_rate_keeps_its_duration(tmp_path: Path) -> None:
    put(tmp_path, 1608, lines(1608, "J", steady(10, 100.0)) + lines(1608, "K", steady(10)))
    store = prepare(Wisdm(tmp_path), tmp_path / "store")
    assert store.recordings["n_samples"].tolist() == pytest.approx([1000, 1000], abs=5)
    assert [r.sampling_rate for r in Wisdm(tmp_path).recordings()] == pytest.approx([100, 20], rel=1e-6)


def test_a_gap_parts_the_recording_and_a_lost_sample_does_not(tmp_path: Path) -> None:
    times = steady(10)
    kept = np.r_[times[:60], times[61:100], times[100:] + 30]  # one sample lost at 3 s, half a minute at 5 s
    put(tmp_path, 1649, lines(1649, "M", kept))
    first, second = Wisdm(tmp_path).recordings()
    assert [first.recording_id, second.recording_id] == ["wisdm-1649-kicking#1", "wisdm-1649-kicking#2"]
    assert len(first.signal) == len(second.signal) == 100
    assert second.signal[0, 0] * 9.80665 == pytest.approx(0.099)  # the 100th of 199 samples
    assert {segment.label for r in (first, second) for segment in r.segments} == {"kicking"}
    assert len(list(Wisdm(tmp_path, max_gap_s=40).recordings())) == 1


def test_stretches_under_a_second_are_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, 1649, lines(1649, "M", np.r_[steady(5), 60 + steady(0.5)]))
    [kept] = Wisdm(tmp_path).recordings()
    assert len(kept.signal) == 100
    assert "activity M: left out 1 stretches shorter than 1 s" in caplog.text


def test_windows_line_ends_and_no_last_line_end(tmp_path: Path) -> None:
    put(tmp_path, 1600, lines(1600, "A", steady(5)).replace("\n", "\r\n").rstrip())
    [recording] = Wisdm(tmp_path).recordings()
    assert len(recording.signal) == 100


GOOD = lines(1600, "A", steady(5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (GOOD[:-9], "is cut short"),
        (GOOD + "1600,A,1;\n", "6 columns, got 3"),
        (GOOD + "1600,A,1,2,3,4,5;\n", "6 columns, got 7"),
        (GOOD + "1600,A,1,2,three,4;\n", "three"),
        (GOOD + "1600,N,1,2,3,4;\n", "unknown activity 'N'; expected one of A B C"),
        (GOOD + "1601,A,1,2,3,4;\n", "rows of another subject, 1601"),
        (GOOD + "1600,A,,2,3,4;\n", "column time has 1 empty"),
        (lines(1600, "A", steady(5) * 1e6), "A: the time stamps imply .* is their unit right"),
        (lines(1600, "A", np.arange(10) * 0.0), "A: .*two different time stamps"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path, 1600, text)
    with pytest.raises(DataError, match=rf"data_1600_accel_watch\.txt.*{message}"):
        list(Wisdm(tmp_path).recordings())


def test_a_truncated_or_foreign_xz_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, 1600, GOOD, xz=True)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"data_1600_accel_watch\.txt\.xz is cut short"):
        list(Wisdm(tmp_path).recordings())
    path.write_bytes(b"no xz at all")
    with pytest.raises(DataError, match=r"data_1600_accel_watch\.txt\.xz is damaged"):
        list(Wisdm(tmp_path).recordings())


def test_missing_data_says_what_is_expected_and_where_to_get_it(tmp_path: Path) -> None:
    for raw_dir, message in ((None, "data.raw_dir must"), (tmp_path / "no", "does not exist"), (tmp_path, "none of")):
        with pytest.raises(DataError, match=rf"{message}.*wisdm-dataset/raw/watch/accel.*archive\.ics\.uci\.edu"):
            Wisdm(raw_dir)


def test_a_file_and_its_compressed_copy_are_not_both_read(tmp_path: Path) -> None:
    put(tmp_path, 1600, GOOD)
    put(tmp_path, 1600, GOOD, xz=True)
    with pytest.raises(DataError, match="are the same file"):
        Wisdm(tmp_path)


def real_recordings(tmp_path: Path, people: list[int]) -> list:
    for person in people:
        name = f"data_{person}_accel_watch.txt.xz"
        (tmp_path / name).symlink_to(REAL / FOLDER / name)
    return list(Wisdm(tmp_path).recordings())


@real
def test_real_people(tmp_path: Path) -> None:
    """1600 is complete, 1608 has one activity at 100 Hz, 1642 lacks two, 1649 has one with five gaps."""
    found = real_recordings(tmp_path, [1600, 1608, 1642, 1649])
    assert Counter(r.participant_id for r in found) == {
        "wisdm-1600": 18,
        "wisdm-1608": 18,
        "wisdm-1642": 16,
        "wisdm-1649": 23,
    }
    assert [r.recording_id for r in found if r.sampling_rate > 30] == ["wisdm-1608-pasta", "wisdm-1642-sandwich"]
    for recording in found:
        if "#" not in recording.recording_id:
            assert len(recording.signal) / recording.sampling_rate == pytest.approx(180, abs=1)
        check_unit(recording.signal, recording.recording_id)
    first = found[0].signal[0] * 9.80665  # of the file's first line
    np.testing.assert_allclose(first, [7.091625, -0.5916671, 8.195502], atol=1e-6)


@real
@pytest.mark.integration
def test_the_whole_set(tmp_path: Path) -> None:
    store = prepare(Wisdm(REAL), tmp_path / "wisdm")
    assert len(store.participants) == 46
    assert set(store.segments["label"]) == set(ACTIVITIES.values())
    whole = store.recordings["recording_id"].str.split("#").str[0]
    missing = {"wisdm-1616-jogging", "wisdm-1618-catch", "wisdm-1642-stairs", "wisdm-1642-typing"}
    people = store.participants["participant_id"]
    assert set(whole) == {f"{p}-{a}" for p in people for a in ACTIVITIES.values()} - missing
    assert len(store.recordings) == 829  # 824, of which one in six stretches
    assert store.excluded == {}
    minutes = store.recordings.groupby(whole)["n_samples"].sum() / 6000
    assert minutes.between(2.99, 3.3).all()
    windows = store.gather(np.arange(829), np.zeros(829, dtype=np.int64), 100)
    assert np.median(np.linalg.norm(windows, axis=1)) == pytest.approx(1, abs=0.03)
