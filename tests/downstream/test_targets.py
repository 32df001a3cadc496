"""Windows with targets, against sample-by-sample sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relcon_lightning.data import CohortInfo, CohortStore, Recording, Segment
from relcon_lightning.downstream import target_windows
from relcon_lightning.errors import DataError

RATE = 10.0
INFO = CohortInfo("toy", RATE, "lower back", "here", "CC0", "none")


def store(path: Path, segments: dict[str, list[Segment]], samples: int = 400) -> CohortStore:
    """One recording a participant; each sample's first axis is its number."""
    signal = np.stack([np.arange(samples), np.zeros(samples), np.ones(samples)], axis=1).astype(np.float32) / samples
    recordings = [Recording(f"r-{name}", name, signal, RATE, tuple(own)) for name, own in segments.items()]
    return CohortStore.write(path, recordings, INFO)


def stride(start: float, end: float, **targets: float) -> Segment:
    return Segment(start, end, targets=targets)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(4, 12), st.integers(2, 9))
def test_a_target_is_the_mean_over_the_strides_weighted_by_shared_time(tmp_path_factory, seed, window, step):
    rng = np.random.default_rng(seed)
    segments, at = [], 1.0
    for _ in range(12):
        end = at + float(rng.integers(4, 15)) / RATE
        known = {"speed": float(rng.uniform(0.5, 2))} if rng.random() < 0.8 else {}
        known |= {"support": float(rng.uniform(0.1, 0.4))} if rng.random() < 0.5 or not known else {}
        segments.append(stride(at, end, **known))
        at = end - float(rng.integers(0, 3)) / RATE if rng.random() < 0.8 else end + 0.7  # overlap, or a pause
    names = [name for name in ("speed", "support") if any(name in s.targets for s in segments)]
    windows = target_windows(store(tmp_path_factory.mktemp("s"), {"a": segments}), window, step, names)
    fine = 1000  # parts of a second
    for signal, targets in zip(windows.signal, windows.targets, strict=True):
        first = round(float(signal[0, 0]) * 400)
        np.testing.assert_allclose(signal[0] * 400, np.arange(first, first + window), rtol=1e-5, atol=1e-3)
        time = (np.arange(first * fine // 10, (first + window) * fine // 10) + 0.5) / fine
        covered = np.zeros(len(time), dtype=bool)
        for k, name in enumerate(names):
            total = weight = 0.0
            for s in segments:
                inside = ((time > s.start_s) & (time < s.end_s)).sum()
                covered |= (time > s.start_s) & (time < s.end_s)
                if name in s.targets:
                    total, weight = total + inside * s.targets[name], weight + inside
            expected = total / weight if weight else np.nan
            np.testing.assert_allclose(targets[k], expected, rtol=1e-6)
        assert covered.all()


def test_windows_lie_in_bouts_at_the_stride_from_their_start(tmp_path):
    bouts = [stride(1.0, 2.05, speed=1.0), stride(2.05, 4.0, speed=3.0), stride(6.0, 6.9, speed=2.0)]
    windows = target_windows(store(tmp_path / "s", {"a": bouts, "b": []}), 10, 10, ["speed"])
    np.testing.assert_allclose(windows.signal[:, 0, 0] * 400, [10, 20, 30], rtol=1e-5)
    np.testing.assert_allclose(windows.targets[:, 0], [1.0, 3 - 2 * 0.05, 3.0])
    assert windows.participant.tolist() == ["a"] * 3
    assert windows.recording.tolist() == ["r-a"] * 3


def test_only_those_asked_for(tmp_path):
    made = store(tmp_path / "s", {name: [stride(0, 5, speed=1.0)] for name in "abc"})
    assert set(target_windows(made, 10, 10, ["speed"], ["a", "c"]).participant) == {"a", "c"}


def test_what_is_missing_is_named(tmp_path):
    made = store(tmp_path / "s", {"a": [stride(0, 2, speed=1.0)]})
    with pytest.raises(DataError, match=r"no target 'velocity'.*it has speed\."):
        target_windows(made, 10, 10, ["velocity"])
    with pytest.raises(DataError, match=r"No stretch .* with speed is as long as a window of 3 s"):
        target_windows(made, 30, 10, ["speed"])
    with pytest.raises(DataError, match="No stretch"):
        target_windows(made, 10, 10, ["speed"], ["b"])
