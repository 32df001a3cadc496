from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from relcon_lightning.data import CohortInfo, CohortStore, Recording, Segment
from relcon_lightning.downstream import labelled_windows
from relcon_lightning.embed import embed_windows
from relcon_lightning.embed.windows import estimate_normalisation
from relcon_lightning.errors import DataError
from relcon_lightning.nets import resnet34_1d, small_resnet_1d

INFO = CohortInfo("toy", 50.0, "wrist", "made by the tests", "none", "none")


def write(path, segments, n=1000, participant="p"):
    t = np.arange(n, dtype=np.float32)
    return CohortStore.write(path, [Recording("r", participant, np.stack([t, t, t], 1), 50.0, segments)], INFO)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.floats(0, 15), st.floats(0.5, 5)), min_size=1, max_size=4),
    st.integers(10, 60),
    st.integers(5, 70),
)
def test_windows_lie_inside_one_segment_and_none_is_missed(tmp_path_factory, spans, window, stride):
    segments = tuple(Segment(start, min(start + length, 20.0), f"l{i}") for i, (start, length) in enumerate(spans))
    store = write(tmp_path_factory.mktemp("x") / "toy", segments)
    expected = []
    for s in segments:
        position = int(np.ceil(s.start_s * 50 - 1e-6))
        while position + window <= s.end_s * 50 + 1e-6:
            expected.append((s.label, position))
            position += stride
    if not expected:
        with pytest.raises(DataError, match="as long as a window"):
            labelled_windows(store, window, stride)
        return
    found = labelled_windows(store, window, stride)
    assert found.signal.shape == (len(expected), 3, window)
    assert sorted(zip(found.label, found.signal[:, 0, 0].astype(int), strict=True)) == sorted(expected)


def test_only_the_classes_asked_for_and_an_unknown_one_is_named(tmp_path):
    store = write(tmp_path / "toy", tuple(Segment(5.0 * i, 5.0 * i + 5, name) for i, name in enumerate("abc")))
    assert set(labelled_windows(store, 50, 50, classes=["a", "c"]).label) == {"a", "c"}
    with pytest.raises(DataError, match=r"no segment labelled d; task\.classes can contain a, b, c"):
        labelled_windows(store, 50, 50, classes=["a", "d"])


def test_only_the_participants_asked_for(toy_store):
    found = labelled_windows(toy_store, 100, 100, participants=["p1", "p3"])
    assert set(found.participant) == {"p1", "p3"}
    assert set(found.of(["p3"]).participant) == {"p3"}
    assert len(found.of([])) == 0
    with pytest.raises(DataError, match=r"None of nobody, p2 has labelled windows; p1, p3 have some"):
        found.of(["p2", "nobody"])


def test_a_cohort_without_labels_says_so(tmp_path):
    with pytest.raises(DataError, match="no labelled segments"):
        labelled_windows(write(tmp_path / "toy", ()), 10, 10)


class Mean(nn.Module):
    dim = 3

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(x.mean(-1))


def test_embedding_is_in_evaluation_mode_and_leaves_the_encoder_as_it_was():
    x = np.random.default_rng(0).standard_normal((7, 3, 20)).astype(np.float32)
    encoder = Mean().train()
    embedded = embed_windows(encoder, x, batch_size=3)
    np.testing.assert_allclose(embedded, x.mean(-1), rtol=1e-5, atol=1e-7)
    assert embedded.dtype == np.float32
    assert encoder.training


class Frozen(Mean):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.isnan().any():
            raise RuntimeError("as asked")
        return super().forward(x)


def test_a_frozen_part_stays_frozen_and_an_error_leaves_the_encoder_in_training():
    encoder = Frozen().train()
    encoder.norm.eval()
    embed_windows(encoder, np.ones((2, 3, 20), np.float32))
    assert not encoder.norm.training
    with pytest.raises(RuntimeError, match="as asked"):
        embed_windows(encoder, np.full((2, 3, 20), np.nan, np.float32))
    assert encoder.training
    assert encoder.drop.training
    assert not encoder.norm.training


def test_normalisation_is_estimated_over_all_windows_and_weights_stay():
    x = np.random.default_rng(0).normal(3, 2, (600, 3, 8)).astype(np.float32)
    encoder = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)).eval()
    estimate_normalisation(encoder, x, batch_size=100)
    norm = encoder[0]
    np.testing.assert_allclose(norm.running_mean, x.mean((0, 2)), rtol=1e-4)
    np.testing.assert_allclose(norm.running_var, x.var((0, 2)), rtol=1e-2)
    assert torch.equal(norm.weight, torch.ones(3))
    assert not any(module.training for module in encoder.modules())
    assert norm.momentum == 0.1


@pytest.mark.parametrize("make", [small_resnet_1d, resnet34_1d])
def test_normalisation_of_an_encoder_is_that_of_the_windows(make):
    x = np.random.default_rng(0).normal(1, 2, (200, 3, 64)).astype(np.float32)
    encoder = make()
    estimate_normalisation(encoder, x, batch_size=200)
    with torch.no_grad():
        found, expected = encoder.eval()(torch.from_numpy(x)), encoder.train()(torch.from_numpy(x))
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)
