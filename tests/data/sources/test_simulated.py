from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.recording import Recording
from relcon_lightning.data.resample import check_unit
from relcon_lightning.data.simulation.activities import WORKOUTS
from relcon_lightning.data.sources.simulated import LAP_M, RATE, SimulatedCohort
from relcon_lightning.downstream.features import handcrafted_features
from relcon_lightning.downstream.windows import labelled_windows
from relcon_lightning.errors import ConfigError
from tests.margins import assert_above, assert_below


def norm(signal: np.ndarray) -> np.ndarray:
    return np.linalg.norm(signal, axis=1)


def dominant_hz(signal: np.ndarray) -> float:
    """Frequency of the strongest component of any axis, by a padded spectrum."""
    centred = (signal - signal.mean(0)) * np.hanning(len(signal))[:, None]
    power = (np.abs(np.fft.rfft(centred, 2**16, axis=0)) ** 2).sum(1)
    return float(np.fft.rfftfreq(2**16, 1 / RATE)[power.argmax()])


def same(first: list[Recording], second: list[Recording]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(
        a.recording_id == b.recording_id and a.segments == b.segments and np.array_equal(a.signal, b.signal)
        for a, b in pairs
    )


@pytest.fixture(scope="module")
def walks() -> list[Recording]:
    """Six laps of each of a dozen people."""
    return [r for r in SimulatedCohort(12, 0.1, 6).recordings() if "-lap" in r.recording_id]


def test_a_seed_gives_the_same_cohort_again_and_another_seed_another():
    once, again, other = (list(SimulatedCohort(2, 0.1, 2, seed).recordings()) for seed in (3, 3, 4))
    assert same(once, again)
    assert not any(np.array_equal(a.signal, b.signal) for a, b in zip(once, other, strict=True))


def test_a_participant_does_not_depend_on_how_many_there_are():
    few, many = (SimulatedCohort(n, 0.1, 2).recordings() for n in (2, 5))
    assert same(list(few), list(islice(many, 2 * (len(WORKOUTS) + 2))))


def test_a_workout_does_not_depend_on_how_many_laps_follow():
    none, some = (list(SimulatedCohort(1, 0.1, laps).recordings()) for laps in (0, 3))
    assert same(none, some[:-3])


def test_no_two_recordings_are_alike():
    found = list(SimulatedCohort(3, 0.1, 3).recordings())
    starts = {r.signal[:50].tobytes() for r in found}
    assert len(starts) == len({r.recording_id for r in found}) == len(found) == 3 * (14 + 3)


def test_labels_units_rate_and_duration():
    found = list(SimulatedCohort(3, 0.2, 1).recordings())
    workouts, laps = ([r for r in found if ("-lap" in r.recording_id) == lap] for lap in (False, True))
    for participant in {r.participant_id for r in found}:
        own = [r for r in workouts if r.participant_id == participant]
        assert sorted(str(r.segments[0].label) for r in own) == sorted(WORKOUTS)
    assert len(WORKOUTS) == len(set(WORKOUTS)) == 14
    for recording in workouts:
        assert len(recording.signal) == 1200
        assert (recording.segments[0].start_s, recording.segments[0].end_s) == (0, 12)
        assert recording.segments[0].targets == {}
    assert [lap.segments[0].label for lap in laps] == [None] * 3
    for recording in found:
        assert recording.sampling_rate == 100
        assert recording.signal.dtype == np.float32
        assert np.isfinite(recording.signal).all()
        assert np.abs(recording.signal).max() <= 16
        check_unit(recording.signal, recording.recording_id)


def test_it_says_that_it_is_simulated_and_how():
    info = SimulatedCohort(7, 1.5, 3, 11).info
    for text in (info.source, info.citation):
        assert text.startswith("SIMULATED")
        assert "7" in text
        assert "1.5" in text
        assert "seed" in text
        assert "11" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"participants": 0}, r"data\.source\.participants=0: expected 1 or more"),
        ({"minutes": 0.01}, r"data\.source\.minutes=0\.01: expected 0\.1 or more"),
        ({"minutes": float("nan")}, r"data\.source\.minutes=nan"),
        ({"laps": -1}, r"data\.source\.laps=-1: expected 0 or more"),
        ({"seed": -1}, r"data\.source\.seed=-1"),
    ],
)
def test_a_number_out_of_range_is_named(options: dict[str, float], message: str):
    with pytest.raises(ConfigError, match=message):
        SimulatedCohort(**options)  # type: ignore[arg-type]


def test_prepare_makes_a_store_of_labels_and_targets(tmp_path: Path):
    store = prepare(SimulatedCohort(3, 0.2, 2), tmp_path / "simulated")
    assert store.participants["participant_id"].tolist() == [f"simulated-{i:04d}" for i in range(3)]
    assert len(store.recordings) == 3 * (14 + 2)
    assert store.excluded == {}
    assert store.info.citation.startswith("SIMULATED")
    laps = store.segments[store.segments["label"].isna()]
    assert len(laps) == 6
    assert laps[["stride_velocity", "double_support"]].notna().all(axis=None)
    windows = labelled_windows(store, 256, 256)
    assert len(windows) == 3 * 14 * 4  # laps are nobody's workout
    assert store.recordings.groupby("participant_id")["height_m"].nunique().eq(1).all()


def test_a_forest_tells_the_workouts_of_other_people_apart_but_not_all(training_seed):
    cohort = SimulatedCohort(10, 0.5, laps=0, seed=training_seed)
    x, label, who = [], [], []
    for recording in cohort.recordings():
        count = min(11, len(recording.signal) // 256)
        windows = recording.signal[: count * 256].reshape(count, 256, 3).transpose(0, 2, 1)
        x.append(handcrafted_features(windows, RATE))
        label += [recording.segments[0].label] * count
        who += [recording.participant_id] * count
    features, truth, train = np.concatenate(x), np.array(label), np.array(who) < "simulated-0005"
    forest = RandomForestClassifier(60, random_state=training_seed).fit(features[train], truth[train])
    accuracy = forest.score(features[~train], truth[~train])
    assert_above(accuracy, 0.5, "accuracy")  # chance is 0.07
    assert_below(accuracy, 0.95, "accuracy")


def test_targets_are_those_of_the_strides_in_the_signal(walks: list[Recording]):
    for walk in walks:
        [segment] = walk.segments
        of = segment.targets
        assert of["stride_velocity"] == pytest.approx(of["stride_length"] / of["stride_time"])
        assert 0 < of["double_support"] < of["stride_time"]
        strides = segment.end_s / of["stride_time"]
        assert strides == pytest.approx(round(strides), abs=0.02)
        assert round(strides) * of["stride_length"] == pytest.approx(LAP_M, rel=0.2)
        assert len(walk.signal) == round(segment.end_s * RATE)


def test_the_dominant_frequency_of_walking_is_that_of_strides_or_steps(walks: list[Recording]):
    orders = np.array([dominant_hz(walk.signal) * walk.segments[0].targets["stride_time"] for walk in walks])
    assert (np.abs(orders - np.round(orders)) < 0.05).all()
    assert set(np.round(orders)) <= {1, 2}


def test_a_lap_repeats_with_its_stride_time(walks: list[Recording]):
    """By autocorrelation; the two steps of a stride can be more alike than two strides."""
    for walk in walks:
        x, true = walk.signal - walk.signal.mean(0), 100 * walk.segments[0].targets["stride_time"]
        lags = np.arange(round(0.4 * true), round(1.6 * true))
        similarity = [(x[lag:] * x[:-lag]).sum() / len(x[lag:]) for lag in lags]
        strides = lags[int(np.argmax(similarity))] / true
        assert strides == pytest.approx(0.5 if strides < 0.75 else 1.0, rel=0.06)


def test_the_faster_the_walk_the_larger_the_acceleration(walks: list[Recording]):
    for own in np.array(walks, dtype=object).reshape(12, 6):
        speed = [walk.segments[0].targets["stride_velocity"] for walk in own]
        size = [norm(walk.signal).std() for walk in own]
        assert np.corrcoef(speed, size)[0, 1] > 0.9


def test_the_still_moments_of_a_recording_have_a_norm_of_one_g():
    strength = [r for r in SimulatedCohort(6, 1.0, 0).recordings() if r.segments[0].label == "strength"]
    for recording in strength:
        windows = norm(recording.signal)[:6000].reshape(60, 100)
        stillest = windows[windows.std(1).argmin()]
        assert stillest.std() < 0.05
        assert stillest.mean() == pytest.approx(1.0, abs=0.08)


def test_cadence_falls_over_a_workout():
    found = [r for r in SimulatedCohort(6, 3.0, 0).recordings() if r.segments[0].label == "elliptical"]
    octaves = np.log2([dominant_hz(r.signal[:5000]) / dominant_hz(r.signal[-5000:]) for r in found])
    lost = octaves - np.round(octaves)  # steps may outweigh strides at one end
    assert np.mean(lost) == pytest.approx(np.log2(1 + 0.72 * 0.075), abs=0.04)  # of the mean fatigue
    assert (lost > 0).mean() > 0.8
