from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.sources.ipol_gait import IpolGait
from relcon_lightning.downstream import target_windows
from relcon_lightning.errors import DataError

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
REAL = SHARED / "ipol_gait"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the set is not at {REAL}")
NAMES = ["PacketCounter", *(f"{sensor}_{axis}" for sensor in ("Acc", "Gyr", "Mag") for axis in "XYZ")]
LEGS = ((100, 700), (800, 1200))  # packets


def table(packets: list[int], first: str = "Acquisition frequency: 100 Hz") -> str:
    """Upright with 9.80665 m/s^2 on x; y counts the packets in mg."""
    rows = ["\t".join([f"{p}.0", "9.80665", f"{p * 9.80665e-3:.6f}", "0.0", *["0.5"] * 6]) for p in packets]
    return "\n".join([first, "\t".join(NAMES), *rows]) + "\n"


def marks(**changes: Any) -> dict[str, Any]:
    """Strides of 1 s and swings of 0.36 s: 0.28 s of double support, in the first leg alone."""
    left = [[start, start + 36] for start in range(120, 680, 100)]
    content = {
        "Subject": 3,
        "Age": 49,
        "Gender": "F",
        "Height": 175.0,
        "Weight": None,
        "TrialBoundaries": [LEGS[0][0], LEGS[1][1]],
        "UTurnBoundaries": [LEGS[0][1], LEGS[1][0]],
        "LeftFootEvents": left,
        "RightFootEvents": [[a + 50, b + 50] for a, b in left],
    }
    return {**content, **changes}


def put(root: Path, packets: list[int] | None = None, trial: str = "3-2", **changes: Any) -> Path:
    folder = root / "GaitData"
    folder.mkdir(exist_ok=True)
    text = table(list(range(1300)) if packets is None else packets)
    (folder / f"{trial}_lb.txt").write_text(text)
    (folder / f"{trial}.json").write_text(json.dumps(marks(**changes)))
    return folder


def of(recording: Any, name: str) -> list[tuple[float, float, float]]:
    found = [(s.start_s, s.end_s, s.targets[name]) for s in recording.segments if name in s.targets]
    return [tuple(round(x, 6) for x in row) for row in found]


def test_values_targets_and_ids(tmp_path):
    put(tmp_path)
    [walk] = IpolGait(tmp_path).recordings()
    assert (walk.recording_id, walk.participant_id, walk.sampling_rate) == ("ipol_gait-03-2", "ipol_gait-03", 100)
    expected = np.stack([np.ones(1300), np.arange(1300) / 1000, np.zeros(1300)], 1)
    np.testing.assert_allclose(walk.signal, expected, atol=1e-6)
    assert walk.attributes == {"age": 49, "height_cm": 175, "sex": "F"}
    assert of(walk, "stride_velocity") == [(1, 7, round(10 / 6, 6)), (8, 12, 2.5)]
    supports = of(walk, "double_support")
    assert {row[2] for row in supports} == {0.28}
    assert [row[:2] for row in supports] == [(1.2 + k, 2.2 + k) for k in range(5)] + [
        (1.7 + k, 2.7 + k) for k in range(5)
    ]


def test_marks_count_packets_also_those_that_never_came(tmp_path):
    """Samples 300 to 303 are interpolated; 60 missing packets part the trial; a packet that came twice counts once."""
    packets = [5 + p for p in range(1300) if not 300 <= p < 304 and not 500 <= p < 560]
    put(tmp_path, [*packets[:50], packets[49], *packets[50:]])
    first, second = IpolGait(tmp_path).recordings()
    assert [r.recording_id for r in (first, second)] == ["ipol_gait-03-2#1", "ipol_gait-03-2#2"]
    np.testing.assert_allclose(first.signal[:, 1], (np.arange(500) + 5) / 1000, atol=1e-6)
    np.testing.assert_allclose(second.signal[:, 1], (np.arange(560, 1300) + 5) / 1000, atol=1e-6)
    assert of(first, "stride_velocity") == [(1, 5, round(10 / 6, 6))]
    assert of(second, "stride_velocity") == [(0, 1.4, round(10 / 6, 6)), (2.4, 6.4, 2.5)]


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"RightFootEvents": []}, 0),
        ({"RightFootEvents": [[170, 206], [280, 306]]}, 3),  # two strides of the left foot hold one, one of the right
        ({"LeftFootEvents": [[120, 215], [220, 256]], "RightFootEvents": [[216, 219]]}, 0),  # 0.02 s
        ({"UTurnBoundaries": [400, 800]}, 4),  # strides in the turn
    ],
)
def test_strides_that_a_footstep_is_missing_from_or_that_turn_are_left_out(tmp_path, changes, left):
    put(tmp_path, **changes)
    [walk] = IpolGait(tmp_path).recordings()
    assert len(of(walk, "double_support")) == left


def test_a_window_lies_in_a_leg_and_has_both_targets(tmp_path):
    put(tmp_path)
    store = prepare(IpolGait(tmp_path), tmp_path / "store", 50)
    windows = target_windows(store, 128, 64, ["stride_velocity", "double_support"])
    np.testing.assert_allclose(windows.targets[:, 0], [10 / 6] * 3 + [2.5] * 2)
    np.testing.assert_allclose(windows.targets[:, 1], [0.28] * 3 + [np.nan] * 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"TrialBoundaries": [100, 1301]}, r"TrialBoundaries is \[100, 1301\], but the recording has 1300 packets"),
        ({"TrialBoundaries": 100}, "expected .start, end. in packets"),
        ({"UTurnBoundaries": [90, 800]}, "the turn 90 to 800 is not inside the trial 100 to 1200"),
        ({"LeftFootEvents": [[1, 2, 3]]}, "LeftFootEvents is not a list of .start, end. in packets"),
        ({"LeftFootEvents": [1, 2]}, "LeftFootEvents is not a list"),
        ({"LeftFootEvents": [[120.5, 156]]}, "LeftFootEvents is not a list"),
        ({"RightFootEvents": [[220, 256], [120, 156]]}, "swings in RightFootEvents do not follow one another"),
    ],
)
def test_marks_that_are_none_are_named(tmp_path, changes, message):
    put(tmp_path, **changes)
    with pytest.raises(DataError, match=rf"3-2\.json.*{message}"):
        list(IpolGait(tmp_path).recordings())


def test_files_that_are_damaged_or_missing_are_named(tmp_path):
    folder = put(tmp_path)
    for text, message in (
        (table(list(range(200)), "Acquisition frequency: 50 Hz"), "expected 'Acquisition frequency: 100 Hz'"),
        (table([*range(150), 20]), "PacketCounter decreases"),
        (table(list(range(200))).replace("Acc_Y", "Acc"), "Acc_Y"),
    ):
        (folder / "3-2_lb.txt").write_text(text)
        with pytest.raises(DataError, match=rf"3-2_lb\.txt.*{message}"):
            list(IpolGait(tmp_path).recordings())
    put(tmp_path)
    for content in ("{", "[]"):
        (folder / "3-2.json").write_text(content)
        with pytest.raises(DataError, match=r"3-2\.json"):
            list(IpolGait(tmp_path).recordings())
    (folder / "3-2.json").unlink()
    with pytest.raises(DataError, match=r"has no 3-2\.json, which a trial needs"):
        IpolGait(tmp_path)
    with pytest.raises(DataError, match=r"1-1_lb\.txt.*github\.com/CyrilVoisard"):
        IpolGait(tmp_path / "nowhere")


@real
def test_the_real_walks(tmp_path):
    store = prepare(IpolGait(REAL), tmp_path / "store", 50)
    windows = target_windows(store, 128, 64, ["stride_velocity", "double_support"])
    assert len(set(windows.participant)) == 19
    assert len(windows) == 1199
    low, middle, high = np.nanquantile(windows.targets, [0.01, 0.5, 0.99], axis=0)
    np.testing.assert_allclose(low, [0.817, 0.157], atol=1e-3)
    np.testing.assert_allclose(middle, [1.086, 0.2745], atol=1e-3)
    np.testing.assert_allclose(high, [1.570, 0.407], atol=1e-3)
    assert np.corrcoef(windows.targets.T)[0, 1] == pytest.approx(-0.633, abs=1e-3)
