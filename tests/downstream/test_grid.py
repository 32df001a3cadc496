"""Windows on a grid against a label for every sample, one window at a time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relcon_lightning.data import CohortInfo, CohortStore, Recording, Segment
from relcon_lightning.downstream import grid_windows, labelled_windows
from relcon_lightning.errors import DataError

RATE = 20.0
INFO = CohortInfo("toy", RATE, "wrist", "made by the tests", "none", "none")


def ramp(name: str, participant: str, n: int, *segments: tuple[float, float, str]) -> Recording:
    """The first axis counts samples, so that a window says where it begins; the second one is large."""
    t = np.arange(n, dtype=np.float32)
    signal = np.stack([t, 0 * t + 5, 0 * t - 5], 1)
    return Recording(name, participant, signal, RATE, tuple(Segment(*one) for one in segments))


def store(path, *recordings: Recording) -> CohortStore:
    return CohortStore.write(path, list(recordings), INFO)


lengths = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 60), st.sampled_from("abc")), min_size=1, max_size=8)


@settings(deadline=None, max_examples=40)
@given(spans=lengths, window=st.integers(5, 40), stride=st.integers(1, 40), chosen=st.sampled_from(["abc", "ab", "c"]))
def test_windows_are_those_of_a_label_for_every_sample(tmp_path_factory, spans, window, stride, chosen):
    """Segments follow each other with gaps; what is in none of the classes is null."""
    n, at, segments = 300, 0, []
    truth = [""] * n
    for gap, length, label in spans:
        first, last = at + gap, min(at + gap + length, n)
        if first >= n:
            break
        segments.append((first / RATE, last / RATE, label))
        truth[first:last] = [label if label in chosen else ""] * (last - first)
        at = last
    made = store(tmp_path_factory.mktemp("x") / "toy", ramp("r", "p", n, *segments))
    present = [name for name in chosen if any(label == name for *_, label in segments)]
    expected = []
    for start in range(0, n - window + 1, stride):
        counts = Counter(name for name in truth[start : start + window] if name in present)
        if 2 * sum(counts.values()) >= window:
            most = max(counts.values())
            expected.append((start, min(name for name in counts if counts[name] == most)))
    if not present or not expected:
        with pytest.raises(DataError):
            grid_windows(made, window, stride, classes=present or list(chosen))
        return
    found = grid_windows(made, window, stride, classes=present)
    assert list(zip(found.signal[:, 0, 0].astype(int), found.label, strict=True)) == expected
    assert found.signal.shape == (len(expected), 3, window)


def test_each_recording_has_its_own_grid_and_people_are_chosen(tmp_path):
    made = store(
        tmp_path / "toy",
        ramp("r1", "p", 50, (0, 2.5, "a")),
        ramp("r2", "q", 45, (1.0, 2.25, "b")),
        ramp("r3", "p", 10, (0, 0.5, "b")),  # shorter than a window
        ramp("r4", "p", 60),  # without labels
    )
    found = grid_windows(made, 20, 10)
    assert Counter(zip(found.recording, found.participant, found.label, strict=True)) == {
        ("r1", "p", "a"): 4,
        ("r2", "q", "b"): 2,
    }
    assert set(grid_windows(made, 20, 10, participants=["q"]).recording) == {"r2"}
    assert sorted(found.signal[found.recording == "r2"][:, 0, 0].astype(int)) == [10, 20]


def test_a_grid_with_overlap_gives_more_windows_than_pure_ones(tmp_path):
    spans = [(1.5 * i, 1.5 * i + 1.5, "ab"[i % 2]) for i in range(10)]
    made = store(tmp_path / "toy", ramp("r", "p", 300, *spans))
    assert len(grid_windows(made, 20, 10)) == 29
    assert len(labelled_windows(made, 20, 20)) == 10


def test_values_are_clipped_where_it_is_asked_for(tmp_path):
    made = store(tmp_path / "toy", ramp("r", "p", 40, (0, 2, "a")))
    assert grid_windows(made, 20, 20).signal.max() == 39
    clipped = grid_windows(made, 20, 20, clip_g=3.0).signal
    assert (clipped.min(), clipped.max(), clipped.dtype) == (-3, 3, np.float32)


def test_no_window_with_enough_labels_is_an_error(tmp_path):
    made = store(tmp_path / "toy", ramp("r", "p", 100, (0, 0.4, "a")))
    with pytest.raises(DataError, match="no window of 1 s with labels for half of its samples"):
        grid_windows(made, 20, 10)
