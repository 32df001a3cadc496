"""Candidates near their anchor in time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from relcon_lightning.data import CandidateDataModule
from relcon_lightning.errors import ConfigError
from tests.data.sampled import COHORTS, T, enough, sampler, table


@settings(max_examples=80, deadline=None)
@given(COHORTS, st.integers(0, 200), st.integers(1, 4), st.integers(0, 10_000), st.integers(0, 5))
def test_candidates_near_in_time_are_in_the_anchors_recording_and_apart_if_it_can_be(cohort, more, count, seed, step):
    within, people = T + more, {p: lengths for p, lengths in cohort.items() if enough(lengths, count)}
    if not people:
        return
    rows = table(people)
    draw = sampler(people, n_candidates=count, seed=seed, within=within).draw(step)
    assert draw.recordings.shape == draw.starts.shape == (8, 1 + count)
    assert (draw.recordings == draw.recordings[:, :1]).all()
    assert [sorted(people)[who] for who in draw.participants] == list(rows["participant_id"][draw.recordings[:, 0]])
    for recording, (anchor, *others) in zip(draw.recordings[:, 0], draw.starts.tolist(), strict=True):
        last = int(rows["n_samples"][recording]) - T
        gaps = {abs(start - anchor) for start in range(last + 1) if abs(start - anchor) <= within}
        allowed = {gap for gap in gaps if gap >= T} or {max(gaps)}
        assert all(0 <= start <= last and abs(start - anchor) in allowed for start in others)


@pytest.mark.parametrize("within", [3, 4, 6, 20])
def test_candidates_near_in_time_are_uniform_over_all_allowed_starts(within):
    last, window = 9, 3
    s = sampler({"p": [last + window, 6], "q": [40]}, window=window, batch_size=80, within=within)
    seen: list[list[int]] = [[] for _ in range(last + 1)]
    for step in range(120):
        d = s.draw(step)
        for anchor, *others in d.starts[d.recordings[:, 0] == 0].tolist():
            seen[anchor] += others
    for anchor, found in enumerate(seen):
        allowed = [start for start in range(last + 1) if window <= abs(start - anchor) <= within]
        counts = [found.count(start) for start in allowed]
        assert sum(counts) == len(found) > 300
        assert len(counts) == 1 or chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(("n", "expected"), [(T, [{0}]), (T + 1, [{1}, {0}]), (T + 2, [{2}, {0, 2}, {0}])])
def test_in_a_recording_of_hardly_more_than_a_window_candidates_are_at_its_far_end(n, expected):
    s = sampler({"p": [n] * 120}, n_candidates=2, batch_size=40, within=2 * T)
    found: list[set[int]] = [set() for _ in expected]
    for step in range(10):
        for anchor, *others in s.draw(step).starts.tolist():
            found[anchor] |= set(others)
    assert all(some and some <= allowed for some, allowed in zip(found, expected, strict=True))


@pytest.mark.parametrize("within", [T - 1, 1, 0, -T])
@pytest.mark.parametrize("candidates", [0, 3])
def test_less_than_a_window_between_candidates_and_anchors_is_refused(within, candidates):
    with pytest.raises(
        ConfigError, match=rf"data\.within_s allows {within} samples .* a window has {T}: they would overlap"
    ):
        sampler({"p": [1000]}, within=within, n_candidates=candidates)


def test_the_distance_of_candidates_moves_no_anchor():
    cohort = {f"p{i}": [500, 300, 60] for i in range(5)}
    for per_batch in (None, 2):
        far, near = (sampler(cohort, within=within, participants_per_batch=per_batch) for within in (None, 80))
        for step in range(3):
            a, b, alone = far.draw(step), near.draw(step), near.draw(step, with_candidates=False)
            for name in ("recordings", "starts"):
                np.testing.assert_array_equal(getattr(a, name)[:, 0], getattr(b, name)[:, 0])
                np.testing.assert_array_equal(getattr(alone, name), getattr(b, name)[:, :1])
            np.testing.assert_array_equal(a.participants, b.participants)
            assert not np.array_equal(a.starts, b.starts)


EARLIER = {  # (per batch, step): recordings and starts
    (None, 0): (
        [[2, 2, 2], [0, 0, 0], [1, 0, 0], [0, 0, 0]],
        [[63, 255, 219], [40, 117, 106], [35, 104, 110], [90, 3, 10]],
    ),
    (2, 7): (
        [[0, 0, 0], [0, 1, 0], [2, 2, 2], [2, 2, 2]],
        [[48, 120, 124], [148, 3, 73], [15, 308, 206], [315, 208, 77]],
    ),
}


@pytest.mark.parametrize("options", [{}, {"within": None}])
@pytest.mark.parametrize(("per_batch", "step"), EARLIER)
def test_draws_are_those_of_the_version_before_candidates_near_in_time(per_batch, step, options):
    """A run of that version continues with the windows that it would have had."""
    people = {"a": [200, 90], "b": [400]}
    s = sampler(people, n_candidates=2, batch_size=4, participants_per_batch=per_batch, seed=3, **options)
    draw = s.draw(step)
    assert (draw.recordings.tolist(), draw.starts.tolist()) == EARLIER[per_batch, step]


@pytest.mark.parametrize("within", [T, 130])
def test_ranks_share_the_batch_of_candidates_near_in_time(within):
    cohort = {f"p{i}": [700, 300, 80] for i in range(6)}
    half, whole = (sampler(cohort, batch_size=size, within=within) for size in (4, 8))
    for step in range(3):
        parts, expected = [half.draw(step, rank, 2) for rank in range(2)], whole.draw(step)
        for name in ("participants", "recordings", "starts"):
            np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(expected, name))


def test_the_datamodule_counts_seconds_between_candidates_and_anchors(make_store):
    store = make_store({f"p{i}": [400, 130] for i in range(6)})
    options = {"window_s": 0.5, "batch_size": 64, "n_candidates": 2, "ratios": (2, 2, 2), "val_batches": 1}
    data = CandidateDataModule(store.path, within_s=0.8, **options)
    data.setup()
    for loader in (data.train_dataloader(), data.val_dataloader()):
        batch = next(iter(loader))
        gaps = (batch["start"][:, 1:] - batch["start"][:, :1]).abs()
        assert (batch["recording"] == batch["recording"][:, :1]).all()
        assert gaps.max() == 80
        assert gaps[batch["recording"][:, 0] % 2 == 0].min() >= 50
    other = CandidateDataModule(store.path, **options)
    other.setup()
    batch = next(iter(other.train_dataloader()))
    assert (batch["recording"] != batch["recording"][:, :1]).any()


@pytest.mark.parametrize("within_s", [0, -1.0, float("nan"), float("inf"), True, "2"])
def test_seconds_that_cannot_be_are_refused_at_once(within_s):
    with pytest.raises(ConfigError, match=f"data.within_s={within_s}: expected a finite number above 0"):
        CandidateDataModule("no/store", within_s=within_s)


def test_fewer_seconds_than_a_window_are_refused(toy_store):
    CandidateDataModule(toy_store.path, window_s=0.5, within_s=0.5).setup()
    with pytest.raises(ConfigError, match=r"49 samples .* a window has 50: they would overlap\. Raise data\.within_s"):
        CandidateDataModule(toy_store.path, window_s=0.5, within_s=0.49).setup()


def test_recordings_without_room_for_a_candidate_near_in_time_are_counted(caplog):
    cohort = {"a": [2 * T, T, 500], "b": [2 * T - 1] * 3, "c": [T - 1, 500]}
    sampler(cohort, within=T, n_candidates=1)
    assert caplog.messages == [
        f"4 of 7 recordings are shorter than two windows of {T} samples. There, a candidate that data.within_s draws "
        "overlaps its anchor or is the same window: lower data.window_s, or leave them out of the store."
    ]
    caplog.clear()
    sampler(cohort, n_candidates=1)
    sampler({"a": [2 * T, 500]}, within=T, n_candidates=1)
    assert not caplog.messages


def test_any_time_between_candidates_and_anchors_is_as_long_as_a_recording():
    cohort = {"a": [500, 300], "b": [400]}
    far, longer = (sampler(cohort, within=within).draw(0) for within in (500, 10**40))
    np.testing.assert_array_equal(far.starts, longer.starts)
