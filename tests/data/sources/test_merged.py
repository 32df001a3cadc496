"""Several stores become one, with nothing lost and nobody twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relcon_lightning.data import CohortInfo, CohortStore, Recording, Segment
from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.sources.merged import MergedStores
from relcon_lightning.errors import ConfigError, DataError

INFO = CohortInfo("one", 100.0, "wrist", "here", "MIT", "A (2020).")


def recording(person: str, number: int, label: str | None = None, **targets: float) -> Recording:
    rng = np.random.default_rng([ord(person[-1]), number])
    signal = rng.standard_normal((400 + number, 3)).astype(np.float32) * 0.1 + [0, 0, 1]
    segments = (Segment(0.5, 3.5, label, targets),) if label or targets else ()
    start = None if number else 1000.0
    return Recording(
        f"{person}-{number}", person, signal, 100.0, segments, start, {"sex": "f" if person > "b" else "m"}
    )


@pytest.fixture
def stores(tmp_path):
    one = [recording("a", 0, "walk"), recording("a", 1), recording("b", 0, None, velocity=1.5)]
    two = [recording("c", 0, "row"), recording("d", 2, "walk", velocity=0.5)]
    CohortStore.write(tmp_path / "one", one, INFO)
    CohortStore.write(tmp_path / "two", two, replace(INFO, name="two", position="ankle", license="CC0"))
    return tmp_path, [*one, *two]


def test_every_recording_is_kept_as_it_was(stores):
    path, originals = stores
    merged = prepare(MergedStores([path / "one", path / "two"], "both"), path / "both")
    assert sorted(merged.recordings["recording_id"]) == sorted(r.recording_id for r in originals)
    for r in originals:
        np.testing.assert_array_equal(merged.read(r.recording_id, 0, len(r.signal)), r.signal.astype(np.float32))
        row = merged.recordings.set_index("recording_id").loc[r.recording_id]
        assert row["sex"] == r.attributes["sex"]
        assert row["cohort"] == ("one" if r.participant_id in "ab" else "two")
        assert (row["start_time"] == 1000.0) == (r.start_time == 1000.0)
        segments = merged.segments[merged.segments["recording_id"] == r.recording_id]
        assert len(segments) == len(r.segments)
        for s, (_, found) in zip(r.segments, segments.iterrows(), strict=True):
            assert (found["start_s"], found["end_s"]) == (s.start_s, s.end_s)
            assert found["label"] == s.label or (s.label is None and found.isna()["label"])
            velocity = s.targets.get("velocity", np.nan)
            np.testing.assert_equal(float(found["velocity"]), velocity)
    assert merged.info.position == "wrist; ankle"
    assert merged.info.license == "one: MIT; two: CC0"
    assert merged.info.citation == "A (2020)."


def test_who_is_in_both_is_named(stores):
    path, _ = stores
    CohortStore.write(path / "three", [recording("a", 7)], replace(INFO, name="three"))
    with pytest.raises(DataError, match=r"participant a is in both .*one and .*three"):
        MergedStores([path / "one", path / "three"], "x")
    with pytest.raises(DataError, match=r"participant a is in both .*one and .*one"):
        MergedStores([path / "one", path / "one"], "x")


def test_recordings_of_one_name_are_named(stores):
    path, _ = stores
    twin = replace(recording("e", 0), recording_id="a-0")
    CohortStore.write(path / "three", [twin], replace(INFO, name="three"))
    with pytest.raises(DataError, match="recording a-0 is in both"):
        MergedStores([path / "one", path / "three"], "x")


def test_rates_must_agree_and_one_store_is_none_to_merge(stores):
    path, _ = stores
    slow = replace(recording("z", 0), sampling_rate=50.0)
    CohortStore.write(path / "slow", [slow], replace(INFO, sampling_rate=50.0))
    with pytest.raises(DataError, match="holds signals at 50 Hz but 100 Hz are expected"):
        MergedStores([path / "one", path / "slow"], "x")
    with pytest.raises(ConfigError, match="two or more stores"):
        MergedStores([path / "one"], "x")
    with pytest.raises(DataError, match=r"no cohort store at .*nowhere"):
        MergedStores([path / "one", path / "nowhere"], "x")


def test_hours_of_movement_are_summed_over_a_person(tmp_path):
    still = np.tile([0.0, 0.0, 1.0], (1000, 1)).astype(np.float32)
    moving = still + 0.3 * np.sin(np.arange(1000) / 10)[:, None].astype(np.float32)
    one = [
        Recording(f"{p}-{i}", p, s, 100.0)
        for p in "ab"
        for i, s in enumerate((still, moving, moving if p == "a" else still))
    ]
    CohortStore.write(tmp_path / "one", one, INFO)
    CohortStore.write(tmp_path / "two", [Recording("c-0", "c", still, 100.0)], replace(INFO, name="two"))
    merged = prepare(MergedStores([tmp_path / "one", tmp_path / "two"], "both"), tmp_path / "both")
    assert merged.numbers("active_h") == pytest.approx({"a": 20 / 3600, "b": 10 / 3600, "c": 0.0})
