from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from relcon_lightning.errors import ConfigError, DataError
from tests.data.sampled import COHORTS, T, enough, sampler, table


@settings(max_examples=60, deadline=None)
@given(COHORTS, st.integers(0, 3), st.integers(0, 10_000), st.integers(0, 5))
def test_every_window_lies_in_a_recording_of_its_participant(cohort, candidates, seed, step):
    expected = sorted(person for person, lengths in cohort.items() if enough(lengths, candidates))
    if not expected:
        with pytest.raises(DataError, match="can be drawn"):
            sampler(cohort, n_candidates=candidates, seed=seed)
        return
    s = sampler(cohort, n_candidates=candidates, seed=seed)
    assert s.participants == expected
    draw, rows = s.draw(step), table(cohort)
    assert draw.recordings.shape == draw.starts.shape == (8, 1 + candidates)
    assert draw.starts.dtype == np.int64
    owner = rows["participant_id"].to_numpy()[draw.recordings]
    assert (owner == np.array(s.participants)[draw.participants][:, None]).all()
    assert (draw.starts >= 0).all()
    assert (draw.starts + T <= rows["n_samples"].to_numpy()[draw.recordings]).all()


@settings(max_examples=60, deadline=None)
@given(COHORTS, st.integers(0, 10_000))
def test_no_candidate_overlaps_its_anchor(cohort, seed):
    try:
        s = sampler(cohort, seed=seed, n_candidates=20)
    except DataError:
        return
    draw = s.draw(0)
    same = draw.recordings[:, 1:] == draw.recordings[:, :1]
    assert (np.abs(draw.starts[:, 1:] - draw.starts[:, :1])[same] >= T).all()


def test_candidates_are_uniform_over_all_allowed_starts():
    s = sampler({"p": [200, 90]}, n_candidates=3, batch_size=500)
    seen: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for step in range(400):
        d = s.draw(step)
        for r, x in zip(d.recordings, d.starts, strict=True):
            seen.setdefault((int(r[0]), int(x[0])), []).extend(zip(r[1:].tolist(), x[1:].tolist(), strict=True))
    for anchor in ((0, 70), (0, 0), (0, 150), (1, 20)):  # with room on both sides, at either end, in the short one
        allowed = [(0, i) for i in range(151)] + [(1, i) for i in range(41)]
        allowed = [c for c in allowed if c[0] != anchor[0] or abs(c[1] - anchor[1]) >= T]
        counts = [seen[anchor].count(c) for c in allowed]
        assert min(counts) > 0
        assert sum(counts) == len(seen[anchor])
        assert chisquare(counts).pvalue > 1e-4


def test_anchors_of_one_participant_do_not_overlap_when_there_is_room():
    s = sampler({f"p{i}": [400, 330, 70] for i in range(4)}, n_candidates=0, batch_size=20, participants_per_batch=2)
    for step in range(50):
        d = s.draw(step)
        assert len(np.unique(d.participants)) == 2
        assert (np.bincount(d.participants)[np.unique(d.participants)] == 10).all()
        for r in np.unique(d.recordings):
            starts = np.sort(d.starts[d.recordings == r])
            assert (np.diff(starts) >= T).all()


@pytest.mark.parametrize("each", [2, 6])
@pytest.mark.parametrize("samples", [T, T + 1, 2 * T - 1])
def test_recordings_of_one_window_each_give_all_of_them(samples, each):
    s = sampler(
        {f"p{i}": [samples] * each for i in range(3)}, n_candidates=0, batch_size=each, participants_per_batch=1
    )
    for step in range(100):
        assert len(np.unique(s.draw(step).recordings)) == each


@pytest.mark.parametrize(
    ("lengths", "candidates", "drawn"),
    [([T], 0, True), ([T - 1], 0, False), ([3 * T - 1], 1, True), ([3 * T - 2], 1, False), ([99, 99], 2, False)],
)
def test_who_has_just_enough_is_drawn(lengths, candidates, drawn):
    assert enough(lengths, candidates) == drawn
    s = sampler({"z": [1000], "a": lengths}, n_candidates=candidates)
    assert s.participants == (["a", "z"] if drawn else ["z"])


def test_anchors_come_at_every_offset():
    s = sampler({"p": [1000]}, n_candidates=0, batch_size=10, participants_per_batch=1)
    offsets = np.concatenate([s.draw(step).starts.ravel() % T for step in range(300)])
    assert set(offsets) == set(range(T))


def test_draw_depends_on_seed_step_and_rank_alone():
    cohort = {f"p{i}": [500, 300] for i in range(5)}
    a, b = sampler(cohort, seed=3), sampler(cohort, seed=3)
    b.draw(0), b.draw(9)
    np.testing.assert_array_equal(a.draw(7).starts, b.draw(7).starts)
    assert not np.array_equal(a.draw(7).starts, a.draw(8).starts)
    assert not np.array_equal(a.draw(7).starts, sampler(cohort, seed=4).draw(7).starts)
    np.testing.assert_array_equal(sampler(cohort).draw(7).starts, sampler(cohort, seed=0).draw(7).starts)


@pytest.mark.parametrize("per_batch", [None, 2])
def test_ranks_share_one_global_batch_without_overlap(per_batch):
    cohort = {f"p{i}": [700, 300] for i in range(6)}
    half = sampler(cohort, batch_size=4, participants_per_batch=per_batch)
    ranks = [half.draw(5, rank, 2) for rank in range(2)]
    if per_batch is None:
        whole = sampler(cohort, batch_size=8).draw(5)
        np.testing.assert_array_equal(np.concatenate([r.starts for r in ranks]), whole.starts)
    pairs = [set(zip(r.recordings[:, 0], r.starts[:, 0], strict=True)) for r in ranks]
    assert not pairs[0] & pairs[1]


def test_participants_with_too_few_windows_are_left_out_and_counted(caplog):
    with caplog.at_level(logging.WARNING):
        s = sampler({"rich": [500], "poor": [T * 3, T - 1], "short": [T - 1]}, n_candidates=3)
    assert s.participants == ["rich"]
    assert "Excluded 2 of 3 participants with fewer than 4 windows of 50 samples" in caplog.text
    assert "poor" in caplog.text
    assert "short" in caplog.text


def test_nobody_left_is_an_error_that_says_how_to_mend():
    with pytest.raises(DataError, match=r"fewer than 4 windows of 50 samples.*lower data\.n_candidates"):
        sampler({"a": [T * 3]})


def test_impossible_batches_are_refused():
    cohort = {f"p{i}": [5000] for i in range(3)}
    with pytest.raises(ConfigError, match="is not a multiple of"):
        sampler(cohort, participants_per_batch=3)
    with pytest.raises(ConfigError, match="only 3 participants"):
        sampler(cohort, participants_per_batch=4)


def test_a_draw_costs_the_same_in_a_large_cohort():
    """No quantity of a draw grows with the cohort: the arrays it touches have the size of the batch."""
    big = sampler({f"p{i}": [500] for i in range(3000)})
    d = big.draw(0)
    assert d.starts.size == 8 * 4
    assert len(np.unique(d.participants)) > 1


def test_people_are_drawn_in_proportion_to_their_weights():
    people = {f"p{i}": [1000] for i in range(4)}
    weights = {"p0": 1.0, "p1": 2.0, "p2": 0.0, "p3": 5.0, "not in training": 9.0}
    for per_batch in (None, 1):
        drawn = sampler(people, weights=weights, participants_per_batch=per_batch)
        counts = np.bincount(np.concatenate([drawn.draw(step).participants for step in range(800)]), minlength=4)
        effective = counts / (1 if per_batch is None else 8)
        assert counts[2] == 0
        assert chisquare(effective[[0, 1, 3]], effective.sum() * np.array([1, 2, 5]) / 8).pvalue > 1e-4


@pytest.mark.parametrize("weights", [{"a": 1.0, "b": -1.0}, {"a": 1.0, "b": 0.0}, {"a": 1.0, "b": np.nan}])
def test_weights_that_cannot_be_drawn_by_are_refused(weights):
    with pytest.raises(DataError, match=r"in proportion to data\.weights"):
        sampler({"a": [1000], "b": [1000]}, weights=weights, participants_per_batch=2)
