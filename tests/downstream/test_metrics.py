from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from relcon_lightning.downstream.metrics import by_recording, classification_metrics, retrieval_average_precision

SEEDS = st.integers(0, 10_000)


def scores(seed: int, n: int, count: int, present: int | None = None):
    rng = np.random.default_rng(seed)
    classes = [f"c{i:02d}" for i in range(count)]
    probability = rng.dirichlet(np.ones(count), n)
    label = np.array(classes)[rng.integers(0, present or count, n)]
    return label, np.array(classes)[probability.argmax(1)], probability, classes


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(2, 80), st.integers(2, 9))
def test_classification_metrics_agree_with_scikit_learn(seed, n, count):
    label, predicted, probability, classes = scores(seed, n, count)
    ours = classification_metrics(label, predicted, probability, classes)
    assert ours["f1"] == pytest.approx(sk.f1_score(label, predicted, average="macro"), abs=1e-6)
    assert ours["accuracy"] == pytest.approx(sk.accuracy_score(label, predicted), abs=1e-6)
    if len(set(label) | set(predicted)) > 1:
        assert ours["kappa"] == pytest.approx(sk.cohen_kappa_score(label, predicted), abs=1e-5)
    present = [c for c in classes if c in set(label)]
    if len(present) > 1:
        areas = [sk.roc_auc_score(label == c, probability[:, classes.index(c)]) for c in present]
        assert ours["auc"] == pytest.approx(np.mean(areas), abs=1e-5)
    else:
        assert np.isnan(ours["auc"])


def test_a_class_that_is_nowhere_does_not_count_and_a_missed_one_does():
    label = np.array(["a", "a", "b", "b"])
    probability = np.eye(4)[[0, 0, 1, 2]]
    predicted = np.array(["a", "a", "b", "c"])
    ours = classification_metrics(label, predicted, probability, ["a", "b", "c", "d"])
    assert ours["f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(1, 60), st.integers(2, 5), st.integers(1, 7))
def test_recording_level_is_the_most_frequent_class(seed, n, count, recordings):
    _, predicted, probability, classes = scores(seed, n, count)
    recording = np.array([f"r{i}" for i in np.random.default_rng(seed).integers(0, recordings, n)])
    first, voted, mean = by_recording(predicted, probability, recording, classes)
    for row, name in enumerate(sorted(set(recording))):
        mine = recording == name
        assert recording[first[row]] == name
        np.testing.assert_allclose(mean[row], probability[mine].mean(0))
        votes = {c: (predicted[mine] == c).sum() for c in classes}
        tied = [c for c in classes if votes[c] == max(votes.values())]
        assert voted[row] == max(tied, key=lambda c: mean[row][classes.index(c)])


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.integers(2, 30), st.integers(1, 4), st.integers(2, 4), st.sampled_from([3, 1000]))
def test_retrieval_agrees_with_scikit_learn_one_anchor_at_a_time(seed, n, count, people, values):
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, values, (n, n)).astype(float)  # few values: many ties
    label = np.array([f"c{i}" for i in rng.integers(0, count, n)])
    person = rng.integers(0, people, n)
    expected, base = [], []
    for i in range(n):
        others = person != person[i]
        relevant = label[others] == label[i]
        if relevant.any():
            expected.append((label[i], sk.average_precision_score(relevant, -distances[i, others])))
            base.append(relevant.mean())
    if not expected:
        return
    mean, chance, by_label = retrieval_average_precision(distances, label, person)
    assert mean == pytest.approx(np.mean([v for _, v in expected]))
    assert chance == pytest.approx(np.mean(base))
    for name, value in by_label.items():
        assert value == pytest.approx(np.mean([v for c, v in expected if c == name]))


def test_the_anchors_own_windows_are_never_candidates():
    distances = np.array([[0.0, 1.0, 5.0], [1.0, 0.0, 5.0], [5.0, 5.0, 0.0]])
    mean, chance, _ = retrieval_average_precision(distances, np.array(["x", "x", "x"]), np.array([0, 0, 1]))
    assert mean == chance == 1


def test_an_infinitely_far_candidate_is_still_before_the_anchors_own_windows():
    distances = np.full((5, 5), np.inf)
    distances[:2, 3] = 1.0  # nearest, and of the other label
    label, person = np.array(["x", "x", "x", "y", "x"]), np.array([0, 0, 0, 1, 1])
    mean, chance, by_label = retrieval_average_precision(distances[[0, 1, 3, 3, 3]], label, person)
    expected = [
        sk.average_precision_score(label[person != person[i]] == label[i], -np.minimum(row, 9)[person != person[i]])
        for i, row in enumerate(distances[[0, 1, 3, 3, 3]])
        if (label[person != person[i]] == label[i]).any()
    ]
    assert mean == pytest.approx(np.mean(expected))
    assert by_label["x"] == mean
    assert chance == pytest.approx((3 * 1 / 2 + 3 / 3) / 4)


def test_distances_that_are_no_numbers_give_no_score():
    label, person = np.array(["x", "x", "y", "x"]), np.array([0, 1, 1, 0])
    distances = np.ones((4, 4))
    distances[0, 2] = np.nan
    assert np.isnan(retrieval_average_precision(distances, label, person)[0])
    unused = np.ones((4, 4))
    unused[0, 3] = np.nan  # the anchor's own person: never a candidate
    assert retrieval_average_precision(unused, label, person)[0] > 0


@pytest.mark.filterwarnings("error")
def test_retrieval_without_a_relevant_candidate_is_unknown():
    mean, chance, by_label = retrieval_average_precision(np.zeros((2, 2)), np.array(["x", "y"]), np.array([0, 1]))
    assert np.isnan([mean, chance]).all()
    assert by_label == {}


def test_a_class_that_is_not_in_the_truth_gives_no_warning():
    label, probability = np.array(["a", "b", "a"]), np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert classification_metrics(label, label, probability, ["a", "b", "c"])["auc"] == 1
