"""The protocol of an evaluation, from Python: whom, in which windows and in which folds."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from relcon_lightning.data import CohortInfo, CohortStore, Recording, Segment
from relcon_lightning.data.pseudonyms import hash_participants
from relcon_lightning.data.splits import k_fold, ratio_split
from relcon_lightning.downstream import Protocol, evaluate, handcrafted, labelled_windows
from relcon_lightning.errors import ConfigError, DataError

PEOPLE = [f"p{i}" for i in range(6)]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> CohortStore:
    rng = np.random.default_rng(0)
    info = CohortInfo("toy", 50.0, "wrist", "made by the tests", "none", "none")

    def recordings():
        for person in PEOPLE:
            still, moving = 0.01 * rng.standard_normal((400, 3)), rng.standard_normal((400, 3))
            segments = (Segment(0.0, 8.0, "still"), Segment(8.0, 16.0, "moving"))
            signal = np.concatenate([still, moving]).astype(np.float32)
            yield Recording(f"r-{person}", person, signal, 50.0, segments)

    return CohortStore.write(tmp_path_factory.mktemp("protocol") / "toy", recordings(), info)


def trained_on(*names: str) -> dict[str, object]:
    return {"hashes": hash_participants(names, "salt"), "salt": "salt"}


def test_everyone_whom_no_encoder_was_trained_on_is_evaluated_once(store):
    protocol = Protocol(window_s=1.0)
    people = protocol.participants(store, [trained_on("p0"), trained_on("p3", "elsewhere")])
    assert people == ["p1", "p2", "p4", "p5"]
    windows = labelled_windows(store, *protocol.lengths(store.sampling_rate), people)
    folds = protocol.folds(people, store, windows.participant.tolist())
    assert sorted(name for split in folds for name in split.test) == people
    assert all(len(split.test) == 1 for split in folds)
    result = evaluate([handcrafted(store.sampling_rate)], windows, folds, seeds=[0])
    of_windows = result.scores[(result.scores["level"] == "window") & (result.scores["metric"] == "f1")]
    assert of_windows["value"].min() > 0.95  # still and moving are told apart by their energy


def test_people_who_are_asked_for_and_trained_on_are_refused(store):
    with pytest.raises(DataError, match="1 of 2 participants were used to pre-train"):
        Protocol(1.0, asked=["p0", "p1"]).participants(store, [trained_on("p1")])
    assert Protocol(1.0, asked=["p0", "p1"]).participants(store, [trained_on("p2")]) == ["p0", "p1"]


def test_people_without_windows_are_left_out_unless_they_are_asked_for(store):
    divide = partial(k_fold, k=3)
    folds = Protocol(1.0, divide=divide).folds(PEOPLE, store, PEOPLE[:3])
    assert sorted(name for split in folds for name in split.test) == PEOPLE[:3]
    with pytest.raises(DataError, match=r"names people without windows in .*: p3, p4, p5"):
        Protocol(1.0, divide=divide, asked=PEOPLE).folds(PEOPLE, store, PEOPLE[:3])


def test_each_seed_divides_again_if_asked(store):
    halves = partial(ratio_split, ratios=(1, 0, 1))
    once = Protocol(1.0, divide=halves).folds(PEOPLE, store, seeds=[0, 1, 2])
    assert isinstance(once, list)
    assert len(once) == 1
    again = Protocol(1.0, divide=halves, redivide=True).folds(PEOPLE, store, seeds=range(8))
    assert list(again) == list(range(8))
    assert len({split.test for own in again.values() for split in own}) > 1


@pytest.mark.parametrize(("overlap", "expected"), [(0.0, (100, 50)), (0.5, (100, 25))])
def test_the_overlap_shortens_the_stride(overlap, expected):
    assert Protocol(2.0, 1.0, overlap).lengths(50.0) == expected


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (Protocol(2.0, overlap=1.0), "overlap=1.0"),
        (Protocol(2.0, overlap=-0.1), "overlap=-0.1"),
        (Protocol(0.001), "window_s makes 0 samples"),
        (Protocol(1.0, 0.001), "stride_s makes 0 samples"),
    ],
)
def test_lengths_without_a_sample_are_refused(protocol, message):
    with pytest.raises(ConfigError, match=message):
        protocol.lengths(50.0)


def test_a_store_of_another_position_is_refused(store):
    with pytest.raises(ConfigError, match="is for the ankle"):
        Protocol(1.0, position="ankle").participants(store)


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        (["p1", "p11"], DataError, r"task\.participants names p11, who is not in .* \(did you mean 'p1'\?\)"),
        ([], ConfigError, r"task\.participants=\[\]: name one participant or more"),
    ],
)
def test_participants_who_are_not_in_the_store_are_named(store, asked, error, message):
    with pytest.raises(error, match=message):
        Protocol(1.0, asked=asked).participants(store)


def test_a_window_longer_than_any_recording_is_refused_as_too_long(store):
    window, stride = Protocol(1e30, 1e30).lengths(50.0)
    with pytest.raises(DataError, match=r"No labelled segment of .* is as long as a window"):
        labelled_windows(store, window, 50)
    assert len(labelled_windows(store, 50, stride)) == len(store.segments)
