from __future__ import annotations

import lzma
import os
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.sources.motionsense import MotionSense
from relcon_lightning.errors import ConfigError, DataError

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
REAL = SHARED / "motionsense"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the MotionSense files are not at {REAL}")
HEADER = ",attitude.roll,attitude.pitch,attitude.yaw," + ",".join(
    f"{part}.{axis}" for part in ("gravity", "rotationRate", "userAcceleration") for axis in "xyz"
)
A, B = "A_DeviceMotion_data", "B_Accelerometer_data"


def motion(rows: int = 100) -> str:
    """Rows as published: gravity (0, 0.6, -0.8), user acceleration (i / 1000, 0.1, 0)."""
    lines = (f"{i},9,9,9,0.0,0.6,-0.8,9,9,9,{i / 1000},0.1,0.0" for i in range(rows))
    return "\n".join([HEADER, *lines]) + "\n"


def put(root: Path, name: str, content: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(content.encode()) if name.endswith(".xz") else content.encode())
    return path


@pytest.mark.parametrize("suffix", ["", ".xz"])
def test_total_acceleration_label_and_participant(tmp_path: Path, suffix: str) -> None:
    put(tmp_path, f"{A}/dws_11/sub_7.csv{suffix}", motion())
    put(tmp_path, f"{A}/std_6/sub_24.csv{suffix}", motion(50))
    put(tmp_path, "data_subjects_info.csv", "\ufeffcode,weight\r\n1,102\r\n")
    down, still = MotionSense(tmp_path).recordings()
    assert (down.recording_id, down.participant_id) == ("motionsense-07-dws_11", "motionsense-07")
    assert still.recording_id == "motionsense-24-std_6"
    assert down.sampling_rate == 50
    assert down.attributes == {"trial": "11"}
    expected = np.stack([np.arange(100) / 1000, np.full(100, 0.7), np.full(100, -0.8)], 1)
    np.testing.assert_allclose(down.signal, expected)
    assert [(s.start_s, s.end_s, s.label) for s in down.segments] == [(0, 2, "dws")]


def test_the_accelerometer_layout_and_only_it_when_asked(tmp_path: Path) -> None:
    put(tmp_path, f"{A}/wlk_7/sub_1.csv", motion())
    put(tmp_path, f"{B}/wlk_7/sub_1.csv", ",x,y,z\n0,0.1,0.2,0.9\n1,0.2,0.2,0.9\n")
    [recording] = MotionSense(tmp_path, B).recordings()
    np.testing.assert_array_equal(recording.signal, [[0.1, 0.2, 0.9], [0.2, 0.2, 0.9]])
    [from_itself] = MotionSense(tmp_path / B, B).recordings()
    assert from_itself.recording_id == recording.recording_id == "motionsense-01-wlk_7"
    with pytest.raises(ConfigError, match=f"layout=C: expected one of {A}, {B}"):
        MotionSense(tmp_path, "C")


def test_the_published_zip_with_its_mac_leftovers(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / f"{A}.zip", "w") as archive:
        archive.writestr(f"{A}/jog_9/", "")
        archive.writestr(f"{A}/jog_9/sub_3.csv", motion())
        archive.writestr(f"__MACOSX/{A}/jog_9/._sub_3.csv", b"\x00\x05\x16\x07")
    [recording] = MotionSense(tmp_path).recordings()
    assert recording.recording_id == "motionsense-03-jog_9"
    assert prepare(MotionSense(tmp_path), tmp_path / "store").recordings["n_samples"].tolist() == [200]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "[Ee]mpty"),
        (HEADER + "\n", "no rows"),
        (motion().replace("gravity.y", "gravity.why"), r"gravity\.y"),
        (motion()[:-12], "13 columns, got"),
        (motion().replace("0.099", "much"), "'much'"),
        (",x,y,z\n0,0.1,0.2,0.9\n", r"gravity\.x"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    put(tmp_path, f"{A}/sit_5/sub_2.csv", content)
    with pytest.raises(DataError, match=rf"sit_5/sub_2\.csv.*{message}"):
        list(MotionSense(tmp_path).recordings())


def test_missing_data_says_what_is_expected_and_where_to_get_it(tmp_path: Path) -> None:
    for raw_dir in (None, tmp_path / "no", tmp_path):
        with pytest.raises(DataError, match=rf"{B}/dws_1/sub_1\.csv.*github\.com/mmalekzadeh/motion-sense"):
            MotionSense(raw_dir, B)


@real
def test_the_real_files() -> None:
    found = list(MotionSense(REAL).recordings())
    labels = [r.segments[0].label for r in found]
    assert Counter(labels) == dict.fromkeys(["dws", "ups", "wlk", "jog", "sit", "std"], 24)
    assert Counter(r.participant_id for r in found) == {f"motionsense-{i:02d}": 6 for i in range(1, 25)}
    assert sum(len(r.signal) for r in found) == 331_419
    norm = np.concatenate([np.linalg.norm(r.signal, axis=1) for r in found])
    assert np.median(norm) == pytest.approx(1.004, abs=0.001)
    first = next(r for r in found if r.recording_id == "motionsense-01-dws_11").signal[0]
    np.testing.assert_allclose(first, [0.033538 - 0.067855, 0.921579 - 0.048792, -0.386739 + 0.413061], atol=1e-9)
