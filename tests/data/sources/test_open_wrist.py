"""Stress-Predict, SP-SW-HAR and UWash: files in the published layout, and the real ones where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from relcon_lightning.data.readers.arrivals import evenly_spaced
from relcon_lightning.data.sources.sp_sw_har import SpSwHar
from relcon_lightning.data.sources.stress_predict import StressPredict
from relcon_lightning.data.sources.uwash import UWash
from relcon_lightning.errors import DataError

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
G = 9.80665


def put(root: Path, name: str, rows: list[str]) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")


def e4(root: Path, rate: str = "32.000000", rows: int = 64, name: str = "Raw_data/S07/ACC.csv") -> None:
    header = ["1644226061.000000, 1644226061.000000, 1644226061.000000", f"{rate}, {rate}, {rate}"]
    put(root, name, [*header, *(f"{i % 3},-32,64" for i in range(rows))])


def test_counts_of_an_e4_are_64_to_a_g(tmp_path):
    e4(tmp_path)
    [recording] = StressPredict(tmp_path).recordings()
    assert (recording.participant_id, recording.sampling_rate) == ("stress_predict-S07", 32)
    assert recording.start_time == 1644226061
    np.testing.assert_array_equal(recording.signal[:3], [[0, -0.5, 1], [1 / 64, -0.5, 1], [2 / 64, -0.5, 1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"rate": "64.0"}, "expected the rate 32 in the second row, found 64"), ({"rows": 0}, "no samples")],
)
def test_another_rate_or_no_samples_name_the_file(tmp_path, options, message):
    e4(tmp_path, **options)
    with pytest.raises(DataError, match=message) as error:
        list(StressPredict(tmp_path).recordings())
    assert "ACC.csv" in str(error.value)


def test_an_empty_cell_of_an_e4_is_refused(tmp_path):
    e4(tmp_path)
    with (tmp_path / "Raw_data/S07/ACC.csv").open("a") as file:
        file.write("1,,64\n")
    with pytest.raises(DataError, match=r"ACC\.csv has no samples or an empty cell"):
        list(StressPredict(tmp_path).recordings())


def test_a_sequence_has_its_labels_as_segments(tmp_path):
    rows = [
        f"0,0,{G},9,9,9,{1657533977810 + round(i * 1000 / 104.28)},{'SEATED' if i < 156 else 'WALKING'}"
        for i in range(417)
    ]
    put(tmp_path, "DATA/s03/s03_05_sw.csv", ["x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label", *rows])
    put(tmp_path, "DATA/s03/s03_05_sp.csv", ["not read"])
    [recording] = SpSwHar(tmp_path).recordings()
    assert (recording.recording_id, recording.participant_id) == ("sp_sw_har-s03-05", "sp_sw_har-s03")
    np.testing.assert_allclose(recording.signal, np.tile([0, 0, 1.0], (len(recording.signal), 1)), atol=1e-6)
    assert [s.label for s in recording.segments] == ["seated", "walking"]
    assert recording.segments[0].end_s == pytest.approx(156 / 104.28, abs=0.02)


def test_bursts_are_spread_and_gaps_part(tmp_path):
    rng = np.random.default_rng(0)
    true = np.concatenate([np.arange(200) / 50, 6 + np.arange(150) / 50])
    burst = np.repeat(true[4::5], 5) + rng.uniform(0, 0.001, 350)  # five at a time, stamped when the last one came
    rows = [
        f"{G * np.cos(t)},0,{G * np.sin(t)},9,9,9,{1000 * (1.7e9 + b)},0.0" for t, b in zip(true, burst, strict=True)
    ]
    put(tmp_path, "imuData_3_1.2.1.csv", ["acc_x,acc_y,acc_z,gyr_x,gyr_y,gyr_z,timestamp,label", *rows])
    first, second = UWash(tmp_path).recordings()
    assert (first.recording_id, first.participant_id) == ("uwash-03-1.2.1#1", "uwash-03")
    for part, moments in ((first, true[:200]), (second, true[200:])):
        assert abs(len(part.signal) - len(moments)) <= 2
        angle = np.arctan2(part.signal[:, 2], part.signal[:, 0])
        slope = np.diff(np.unwrap(angle)) * 50
        assert np.abs(slope - 1).max() < 0.05  # a radian per second, as recorded: no steps and stops
    assert second.start_time - first.start_time == pytest.approx(6, abs=0.1)


def test_even_stamps_stay_as_they_are():
    times = 100 + np.arange(50) / 20
    np.testing.assert_allclose(evenly_spaced(times, 1.0), times, atol=1e-9)
    np.testing.assert_array_equal(evenly_spaced(times[:2], 1.0), times[:2])
    assert len(evenly_spaced(times[:0], 1.0)) == 0


REAL = {
    "empatica_stress": (StressPredict, 35, 32.2),
    "sp_sw_har": (SpSwHar, 23, 0.70),
    "uwash_inwild": (UWash, 10, 2.57),
}


@pytest.mark.parametrize("name", REAL)
def test_the_published_files_have_the_people_and_hours_they_should(name):
    source, people, hours = REAL[name]
    if not (SHARED / name).is_dir():
        pytest.skip(f"the files are not at {SHARED / name}")
    recordings = list(source(SHARED / name).recordings())
    assert len({r.participant_id for r in recordings}) == people
    assert sum(len(r.signal) / r.sampling_rate for r in recordings) / 3600 == pytest.approx(hours, rel=0.02)
    norms = [np.median(np.linalg.norm(r.signal, axis=1)) for r in recordings]
    assert 0.95 < np.median(norms) < 1.1
