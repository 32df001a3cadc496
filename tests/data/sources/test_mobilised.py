from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from relcon_lightning.cli.app import config_folder
from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.sources import mobilised
from relcon_lightning.data.sources.mobilised import MobiliseD
from relcon_lightning.errors import ConfigError, DataError

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
REAL = SHARED / "mobilised_lab"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the Mobilise-D files are not at {REAL}")
NAN = float("nan")
EMPTY = np.empty((0, 0), np.uint8)  # as MATLAB writes []


def bout(start: float = 1.0, strides: int = 3, unit: float = 100.0, **columns: Any) -> dict[str, Any]:
    """A walking bout with strides of 1.2 s, a new one every 0.6 s; contacts in samples, or in seconds with unit 1."""
    first = start + 0.6 * np.arange(strides)
    own = {
        "Start": start,
        "End": first[-1] + 1.2,
        "NumberStrides": strides,
        "Stride_InitialContacts": np.round(np.stack([first, first + 1.2], 1) * unit, 6),
        "Stride_Duration": np.full(strides, 1.2),
        "Stride_Speed": 1.0 + 0.1 * np.arange(strides),
        "DoubleSupport_Duration": 0.3 + 0.01 * np.arange(strides),
        "InitialContact_LeftRight": np.array(["Left", "Right"], dtype=object),
        "Turn_Start": EMPTY,
    }
    return {**own, **columns}


def struct_array(items: list[dict[str, Any]]) -> np.ndarray:
    array = np.empty(len(items), dtype=[(name, object) for name in items[0]])
    for i, item in enumerate(items):
        array[i] = tuple(item.values())
    return array


def resting(seconds: float = 6.0) -> np.ndarray:
    """Upright, with 1 g on x; counts its samples on y."""
    n = round(seconds * 100)
    return np.stack([np.ones(n), np.arange(n) / 1e4, np.zeros(n)], 1)


def trial(indip: Any = EMPTY, stereophoto: Any = EMPTY, acc: np.ndarray | None = None) -> dict[str, Any]:
    sensor = {
        "Acc": resting() if acc is None else acc,
        "Gyr": np.zeros((600, 3)),
        "Timestamp": 1607605064.733 + np.arange(600) / 100,
        "Fs": {"Acc": 100, "Gyr": 100},
    }
    levels = {"INDIP": indip, "Stereophoto": stereophoto}
    standards = {
        name: {"MicroWB": EMPTY, "ContinuousWalkingPeriod": bouts, "Fs": 100} for name, bouts in levels.items()
    }
    return {"StartDateTime": "2020-12-10T13:57:44.733+01:00", "SU": {"LowerBack": sensor}, "Standards": standards}


def put(root: Path, *trials: dict[str, Any], person: str = "HA/001") -> Path:
    """The trials as Test5.Trial1, Test5.Trial2 and so on of a participant."""
    path = root / person / "data.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    test = {f"Trial{i}": content for i, content in enumerate(trials, 1)}
    savemat(path, {"data": {"TimeMeasure1": {"Test5": test}}}, long_field_names=True)
    return path


def spans(recording: Any) -> list[tuple[float, float]]:
    return [(round(s.start_s, 6), round(s.end_s, 6)) for s in recording.segments]


def test_values_targets_ids_and_start(tmp_path: Path) -> None:
    put(tmp_path, trial(bout()), trial(), person="MS/007")
    put(tmp_path, trial(), person="HA/1001/Laboratory")
    put(tmp_path, trial(), person="HA/1001/Free-living")
    (other, walk, still) = MobiliseD(tmp_path).recordings()
    assert [(r.recording_id, r.participant_id) for r in (other, walk, still)] == [
        ("mobilised-HA1001-TimeMeasure1-Test5-Trial1", "mobilised-HA1001"),
        ("mobilised-MS007-TimeMeasure1-Test5-Trial1", "mobilised-MS007"),
        ("mobilised-MS007-TimeMeasure1-Test5-Trial2", "mobilised-MS007"),
    ]
    assert walk.sampling_rate == 100
    assert walk.start_time == pytest.approx(1607605064.733, abs=1e-3)
    assert walk.attributes == {"cohort": "MS"}
    np.testing.assert_allclose(walk.signal, resting(), atol=1e-9)
    assert spans(walk) == [(1.0, 2.2), (1.6, 2.8), (2.2, 3.4)]
    assert [dict(s.targets) for s in walk.segments] == [
        {"stride_velocity": pytest.approx(1 + 0.1 * i), "double_support": pytest.approx(0.3 + 0.01 * i)}
        for i in range(3)
    ]
    assert {s.label for s in walk.segments} == {None}
    assert (other.segments, still.segments) == ((), ())


def test_one_bout_is_a_struct_and_several_are_an_array_of_structs(tmp_path: Path) -> None:
    put(tmp_path, trial(bout(1.0, 1)), trial(struct_array([bout(1.0, 1), bout(4.0, 2)])))
    one, several = MobiliseD(tmp_path).recordings()
    assert spans(one) == [(1.0, 2.2)]
    assert spans(several) == [(1.0, 2.2), (4.0, 5.2), (4.6, 5.8)]


def test_the_reference_is_one_of_the_two_systems_each_with_its_unit_of_contacts(tmp_path: Path) -> None:
    put(tmp_path, trial(bout(1.0), bout(2.0, 2, unit=1.0)))
    [indip] = MobiliseD(tmp_path).recordings()
    [cameras] = MobiliseD(tmp_path, "stereophoto").recordings()
    assert spans(indip) == [(1.0, 2.2), (1.6, 2.8), (2.2, 3.4)]
    assert spans(cameras) == [(2.0, 3.2), (2.6, 3.8)]
    with pytest.raises(ConfigError, match=r"reference=INDIP: expected one of indip, stereophoto"):
        MobiliseD(tmp_path, "INDIP")


number = st.sampled_from([NAN, -0.3, 0.0, 0.2, 1.2, 1.4])


@given(st.lists(st.tuples(number, number, st.sampled_from([NAN, 1.2]), st.booleans()), min_size=1, max_size=8))
def test_what_was_not_measured_or_cannot_be_is_no_target(strides: list[tuple[float, float, float, bool]]) -> None:
    """Speeds above 0, and double supports above 0 and below the duration of a stride whose contacts are known."""
    speed, support, duration, known = zip(*strides, strict=True)
    walked = bout(1.0, len(strides), Stride_Speed=speed, DoubleSupport_Duration=support, Stride_Duration=duration)
    walked["Stride_InitialContacts"][~np.array(known), 1] = NAN
    found = mobilised._strides({"ContinuousWalkingPeriod": walked, "Fs": 100}, True, "here")
    expected = []
    for i, (v, d, whole, there) in enumerate(strides):
        targets = {"stride_velocity": v} if v in (0.2, 1.2, 1.4) else {}
        targets |= {"double_support": 0.2} if d == 0.2 and whole == 1.2 else {}
        if there and targets:
            expected.append((round(1 + 0.6 * i, 6), targets))
    assert [(round(s.start_s, 6), dict(s.targets)) for s in found] == expected


def test_a_column_that_was_not_measured_at_all_is_empty(tmp_path: Path) -> None:
    put(tmp_path, trial(bout(DoubleSupport_Duration=EMPTY)), trial(bout(Stride_Speed=EMPTY)))
    velocity, support = MobiliseD(tmp_path).recordings()
    assert [set(s.targets) for s in velocity.segments] == [{"stride_velocity"}] * 3
    assert [set(s.targets) for s in support.segments] == [{"double_support"}] * 3


def test_missing_samples_part_the_trial_and_its_strides(tmp_path: Path) -> None:
    acc = resting()
    acc[50:60] = NAN  # a tenth of a second
    acc[250:400] = NAN  # from 2.5 s to 4 s
    put(tmp_path, trial(bout(1.0), acc=acc))
    first, second = MobiliseD(tmp_path).recordings()
    assert first.recording_id.endswith("Trial1#1")
    np.testing.assert_allclose(first.signal, resting()[:250], atol=1e-9)
    np.testing.assert_allclose(second.signal, resting()[400:], atol=1e-9)
    assert spans(first) == [(1.0, 2.2), (1.6, 2.5), (2.2, 2.5)]
    assert second.start_time == pytest.approx(1607605068.733, abs=1e-3)
    assert second.segments == ()


def test_trials_without_sensor_or_samples_are_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    absent = {**trial(bout()), "SU": EMPTY}
    put(tmp_path, absent, trial(acc=np.full((600, 3), NAN)), trial(acc=resting(0.5)), trial(bout()))
    [kept] = MobiliseD(tmp_path).recordings()
    assert kept.recording_id.endswith("Trial4")
    assert "TimeMeasure1.Test5.Trial1: it has no sensor SU.LowerBack" in caplog.text
    assert caplog.text.count("Left out") == 3


def test_a_trial_without_the_reference_has_no_segments(tmp_path: Path) -> None:
    bare, other = trial(bout()), trial(bout())
    del bare["Standards"], other["Standards"]["INDIP"]
    put(tmp_path, bare, other)
    assert [r.segments for r in MobiliseD(tmp_path).recordings()] == [(), ()]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in bout().items() if key != name}


def with_rate(rate: Any) -> dict[str, Any]:
    made = trial(bout())
    made["SU"]["LowerBack"]["Fs"]["Acc"] = rate
    return made


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (trial(without("Stride_Speed")), r"no field 'Stride_Speed'"),
        (trial(bout(Stride_Speed=np.ones(2))), "Stride_Speed has 2 values for 3 strides"),
        (trial(bout(Stride_InitialContacts=np.ones(5))), "not the start and the end of each stride"),
        (trial(bout(unit=1.0)), r"apart; expected samples of INDIP"),
        (trial(acc=np.ones((600, 2))), r"SU\.LowerBack\.Acc is not an array of three"),
        (trial(acc=EMPTY), r"SU\.LowerBack\.Acc is not an array of three"),
        (with_rate(0), r"SU\.LowerBack\.Fs\.Acc is 0, expected a sampling rate"),
        (with_rate("fast"), r"SU\.LowerBack\.Fs\.Acc is fast, expected"),
    ],
)
def test_a_bad_trial_is_named(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    put(tmp_path, content)
    with pytest.raises(DataError, match=rf"HA/001/data\.mat, TimeMeasure1\.Test5\.Trial1: .*{message}"):
        list(MobiliseD(tmp_path).recordings())


def test_seconds_of_the_cameras_are_not_taken_for_samples(tmp_path: Path) -> None:
    put(tmp_path, trial(stereophoto=bout(unit=100.0)))
    with pytest.raises(DataError, match=r"100 times Stride_Duration apart.*seconds of Stereophoto"):
        list(MobiliseD(tmp_path, "stereophoto").recordings())


@pytest.mark.parametrize("keep", [0, 50, 130, 400, -200])
def test_a_truncated_file_is_named(tmp_path: Path, keep: int) -> None:
    path = put(tmp_path, trial(bout()))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"HA/001/data\.mat (cannot be read|has no struct 'data')"):
        list(MobiliseD(tmp_path).recordings())


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, trial(bout()))
    path.write_bytes(b"no MATLAB at all" * 100)
    with pytest.raises(DataError, match=r"HA/001/data\.mat cannot be read"):
        list(MobiliseD(tmp_path).recordings())
    savemat(path, {"infoForAlgo": {"Height": 159}})
    with pytest.raises(DataError, match=r"HA/001/data\.mat has no struct 'data'"):
        list(MobiliseD(tmp_path).recordings())


def test_missing_data_says_what_is_expected_and_where_to_get_it(tmp_path: Path) -> None:
    put(tmp_path, trial(), person="HA/1001/Free-living")
    for raw_dir in (None, tmp_path / "no", tmp_path):
        with pytest.raises(DataError, match=r"HA/1001/Laboratory/data\.mat.*zenodo\.org/records/13899386"):
            MobiliseD(raw_dir)


def test_the_files_become_a_store_with_targets(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        put(tmp_path / "raw", trial(bout(0.1 * number)), person=f"PD/{number}")
    with initialize_config_dir(config_folder(), version_base="1.3"):
        data = compose("prepare", ["data=mobilised", f"data.raw_dir={tmp_path / 'raw'}"]).data
        task = compose("eval", ["task=gait_mobilised", "checkpoint=x", "run_dir=here"]).task
    store = prepare(instantiate(data.source), tmp_path / "store", sampling_rate=50)
    assert store.recordings["n_samples"].tolist() == [300] * 3
    assert store.recordings["cohort"].tolist() == ["PD"] * 3
    assert store.segments["start_s"].tolist() == pytest.approx([0.1, 0.7, 1.3, 0.2, 0.8, 1.4, 0.3, 0.9, 1.5])
    assert store.segments["label"].isna().all()
    assert set(task.targets) <= set(store.segments.columns)
    np.testing.assert_allclose(store.segments["stride_velocity"], [1.0, 1.1, 1.2] * 3)
    np.testing.assert_allclose(store.segments["double_support"], [0.3, 0.31, 0.32] * 3)
    splits = list(instantiate(task.folds)(store.participants["participant_id"].tolist()))
    assert sorted(split.test for split in splits) == [(f"mobilised-PD{i}",) for i in (1, 2, 3)]


def measured(person: str, test: str, number: int, system: str) -> dict[str, np.ndarray]:
    """Columns over the strides of a trial, read from the file as nested record arrays: not the way the source reads."""
    data = loadmat(REAL / person / "data.mat")["data"]
    reference = data["TimeMeasure1"][0, 0][test][0, 0][f"Trial{number}"][0, 0]["Standards"][0, 0][system][0, 0]
    bouts = reference["ContinuousWalkingPeriod"][0, 0].ravel()
    names = ["Stride_Duration", "Stride_Length", "Stride_Speed", "DoubleSupport_Duration"]
    columns = {name: np.concatenate([b[name].ravel() for b in bouts]) for name in names}
    columns["contact"] = np.concatenate([b["Stride_InitialContacts"][:, 0] for b in bouts]).astype(float)
    columns["events"] = np.concatenate([b["InitialContact_Event"].ravel() for b in bouts])
    return columns


@real
@pytest.mark.parametrize(
    ("system", "strides", "supports"),
    [("INDIP", [49, 33, 70], [41, 13, 49]), ("Stereophoto", [45, 8, 74], [33, 1, 59])],
)
def test_real_strides_against_another_reading(system: str, strides: list[int], supports: list[int]) -> None:
    recordings = {r.recording_id: r for r in MobiliseD(REAL, system.lower()).recordings()}
    assert len(recordings) == 9
    for person, n, n_supports in zip(["HA/001", "HA/002", "MS/001"], strides, supports, strict=True):
        recording = recordings[f"mobilised-{person.replace('/', '')}-TimeMeasure1-Test11-Trial1"]
        columns = measured(person, "Test11", 1, system)
        rows = np.isfinite(columns["Stride_Speed"])
        assert len(recording.segments) == rows.sum() == n
        starts = np.array([s.start_s for s in recording.segments])
        # Contacts are also listed as events, and these in seconds by both systems.
        assert np.nanmin(np.abs(starts[:, None] - columns["events"]), axis=1).max() < 1e-6
        lengths = np.array([s.targets["stride_velocity"] * (s.end_s - s.start_s) for s in recording.segments])
        np.testing.assert_allclose(lengths, columns["Stride_Length"][rows], rtol=1e-6)
        support = [s.targets["double_support"] for s in recording.segments if "double_support" in s.targets]
        own = columns["DoubleSupport_Duration"]
        valid = own[(own > 0) & (own < columns["Stride_Duration"])]
        assert len(support) == n_supports
        np.testing.assert_array_equal(support, valid)


@real
def test_real_recordings() -> None:
    recordings = list(MobiliseD(REAL).recordings())
    assert {r.participant_id for r in recordings} == {"mobilised-HA001", "mobilised-HA002", "mobilised-MS001"}
    assert [len(r.segments) for r in recordings] == [7, 7, 49, 0, 0, 33, 7, 7, 70]
    first = recordings[0]
    np.testing.assert_allclose(first.signal[0], [0.95451315, -0.15224048, -0.09063732], atol=1e-8)
    assert first.start_time == pytest.approx(1607605064.733, abs=1e-3)
    assert spans(first)[0] == (5.05, 6.32)
    assert first.segments[1].targets == pytest.approx({"stride_velocity": 1.05617632, "double_support": 0.44})
    for recording in recordings:
        assert np.median(np.linalg.norm(recording.signal, axis=1)) == pytest.approx(1, abs=0.05)


@real
def test_real_systems_disagree_in_double_support() -> None:
    means = []
    for system in ("indip", "stereophoto"):
        first = next(MobiliseD(REAL, system).recordings())
        means.append(np.mean([s.targets["double_support"] for s in first.segments if "double_support" in s.targets]))
    assert means == pytest.approx([0.432, 0.32], abs=0.001)
