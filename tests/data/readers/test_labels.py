from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.data.readers.labels import LabelledSamples, named, recordings_of, within
from relcon_lightning.data.recording import Segment
from relcon_lightning.errors import DataError

RATE = 50.0


def samples(labels: list[str | None], times: np.ndarray | None = None) -> LabelledSamples:
    """Samples that count themselves on x."""
    n = len(labels)
    signal = np.stack([np.arange(n), np.zeros(n), np.ones(n)], axis=1)
    return LabelledSamples(np.arange(n) / RATE if times is None else times, signal, np.array(labels, object), "a.dat")


def test_a_run_of_a_label_is_a_segment_and_none_is_not() -> None:
    labels = [None] * 10 + ["sit"] * 50 + ["walk"] * 50 + [None] * 5 + ["walk"] * 60
    [recording] = recordings_of(samples(labels), "r", "p", RATE, 1.0)
    assert [(s.label, s.start_s, s.end_s) for s in recording.segments] == [
        ("sit", pytest.approx(0.2), pytest.approx(1.2)),
        ("walk", pytest.approx(1.2), pytest.approx(2.2)),
        ("walk", pytest.approx(2.3), pytest.approx(3.5)),
    ]
    assert (recording.recording_id, recording.participant_id, recording.start_time) == ("r", "p", None)


def test_a_label_ends_where_the_rows_end_not_where_they_go_on() -> None:
    times = np.r_[np.arange(100) / RATE, 60 + np.arange(100) / RATE]
    first, second = recordings_of(samples(["sit"] * 100 + ["walk"] * 100, times), "r", "p", RATE, 1.0, 1e9)
    assert [(s.label, s.start_s, s.end_s) for s in first.segments] == [("sit", 0, pytest.approx(2))]
    assert [(s.label, s.start_s, s.end_s) for s in second.segments] == [("walk", 0, pytest.approx(2))]
    assert (first.recording_id, second.recording_id) == ("r#1", "r#2")
    assert (first.start_time, second.start_time) == (1e9, 1e9 + 60)


def test_between_two_labels_a_short_gap_has_none() -> None:
    times = np.r_[np.arange(100) / RATE, 2.5 + np.arange(100) / RATE]
    [recording] = recordings_of(samples(["sit"] * 100 + ["walk"] * 100, times), "r", "p", RATE, 1.0)
    assert [(s.label, s.start_s, s.end_s) for s in recording.segments] == [
        ("sit", 0, pytest.approx(2)),
        ("walk", pytest.approx(2.5), pytest.approx(4.5)),
    ]


def test_samples_without_a_stamp_are_left_out() -> None:
    times = np.r_[np.arange(99) / RATE, np.nan]
    [recording] = recordings_of(samples(["sit"] * 99 + ["walk"], times), "r", "p", RATE, 1.0)
    assert [(s.label, s.start_s, s.end_s) for s in recording.segments] == [("sit", 0, pytest.approx(1.98))]


@given(
    runs=st.lists(st.tuples(st.sampled_from(["sit", "walk", None]), st.integers(1, 80)), min_size=1, max_size=12),
    lost=st.lists(st.tuples(st.integers(0, 500), st.integers(1, 120)), max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_each_sample_keeps_its_label_and_no_loss_is_bridged(runs, lost, order) -> None:
    labels = [label for label, n in runs for _ in range(n)] + ["sit"] * 60
    given_rows = samples(labels)
    for first, n in lost:
        given_rows.signal[first : first + n, 1] = np.nan
    shuffled = np.array(order.sample(range(len(labels)), len(labels)))
    present = np.flatnonzero(np.isfinite(given_rows.signal).all(axis=1))
    mixed = LabelledSamples(
        given_rows.times[shuffled], given_rows.signal[shuffled], given_rows.labels[shuffled], "a.dat"
    )
    try:
        recordings = list(recordings_of(mixed, "r", "p", RATE, 1.0))
    except DataError:  # nothing, or no second, is left
        steps = np.diff(present)
        assert not len(present) or max(map(len, np.split(present, np.flatnonzero(steps > RATE) + 1))) < RATE
        return
    for recording in recordings:
        rows = np.round(recording.signal[:, 0]).astype(int)  # of the file, at each sample of the grid
        np.testing.assert_allclose(recording.signal[:, 0], rows, atol=1e-6)
        inside = present[(present >= rows[0]) & (present <= rows[-1])]
        assert (np.diff(inside) <= RATE).all()
        found = np.full(len(rows), None, dtype=object)
        for segment in recording.segments:
            found[round(segment.start_s * RATE) : round(segment.end_s * RATE)] = segment.label
        assert found.tolist() == [labels[row] for row in rows]


def test_within_moves_and_cuts() -> None:
    segments = [Segment(0, 4, "a"), Segment(4, 6, "b"), Segment(9, 12, "c"), Segment(12, 13, "d")]
    assert within(segments, 3, 8) == (Segment(0, 1, "a"), Segment(1, 3, "b"), Segment(6, 8, "c"))


def test_codes_without_a_name_are_refused() -> None:
    assert named(np.array([1.0, 0.0, 1.0]), {0: None, 1: "sit"}, "a.dat").tolist() == ["sit", None, "sit"]
    for code in (7.0, np.nan):
        with pytest.raises(DataError, match=rf"a\.dat: label {code} is none of 0, 1"):
            named(np.array([1.0, code]), {0: None, 1: "sit"}, "a.dat")


def test_a_dead_axis_is_named() -> None:
    dead = samples(["sit"] * 100)
    dead.signal[:, 2] = np.nan
    with pytest.raises(DataError, match=r"a\.dat has no sample with all three acceleration axes"):
        list(recordings_of(dead, "r", "p", RATE, 1.0))
