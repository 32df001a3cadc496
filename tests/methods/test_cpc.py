from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import ConfigError
from relcon_lightning.methods import CPC
from relcon_lightning.methods.cpc import similarities
from relcon_lightning.nets import ResNet1d


def made(**options) -> CPC:
    torch.manual_seed(0)
    options = {"patches": 4, "steps": 2, "context": 12, **options}
    method = CPC(ResNet1d((8, 16), (1, 1), (3, 3)), **options).double().eval()
    method.log_values = lambda stage, **values: method.__dict__.setdefault("logged", {}).update(values)
    return method


def batch(n: int = 5, time: int = 64) -> CandidateBatch:
    x = torch.randn(n, 3, time, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return CandidateBatch.of(x, x[:, None])


def generator() -> torch.Generator:
    return torch.Generator()


@torch.no_grad()
def test_loss_is_info_nce_written_out():
    """One window, one time and one step at a time; patches are encoded one by one."""
    cpc, x = made(), batch()["anchor"]
    z = [[cpc.encoder(x[i : i + 1, :, 16 * t : 16 * t + 16])[0] for t in range(4)] for i in range(5)]
    everything = [(j, u) for j in range(5) for u in range(4)]
    steps, right = [], []
    for k in (1, 2):
        losses = []
        for i in range(5):
            for t in range(4 - k):
                context = cpc.gru(torch.stack(z[i][: t + 1])[None])[0][0, -1]
                predicted = cpc.predictors[k - 1].weight @ context
                s = {(j, u): float(predicted @ z[j][u]) for j, u in everything}
                losses.append(math.log(sum(math.exp(v) for v in s.values())) - s[i, t + k])
                right.append((k, max(s, key=s.__getitem__) == (i, t + k)))
        steps.append(sum(losses) / len(losses))
    assert cpc.loss(batch(), generator(), "train").item() == pytest.approx(sum(steps) / 2, rel=1e-9)
    accuracy = sum(sum(r for k, r in right if k == step) / (5 * (4 - step)) for step in (1, 2)) / 2
    assert cpc.__dict__["logged"]["accuracy"].item() == pytest.approx(accuracy, rel=1e-6)


@torch.no_grad()
@given(t=st.integers(0, 2), window=st.integers(0, 4))
def test_the_context_does_not_know_the_future(t, window):
    """From the samples on, not just from the features: no receptive field reaches over a patch."""
    cpc, x = made(), batch()["anchor"]
    changed = x.clone()
    changed[window, :, 16 * (t + 1) :] += 5
    before, after = (cpc.context(cpc.embed(v)) for v in (x, changed))
    torch.testing.assert_close(after[:, : t + 1], before[:, : t + 1])
    assert not torch.allclose(after[window, t + 1], before[window, t + 1])
    others = [i for i in range(5) if i != window]
    torch.testing.assert_close(after[others], before[others])


@torch.no_grad()
def test_the_context_remembers_the_past():
    cpc, x = made(), batch()["anchor"]
    changed = x.clone()
    changed[..., :16] += 5
    assert not torch.allclose(cpc.context(cpc.embed(x))[:, -1], cpc.context(cpc.embed(changed))[:, -1])


@torch.no_grad()
def test_features_of_whole_windows_would_know_the_future():
    """Why patches are encoded one by one: the last sample seen reaches the features of the first half."""
    torch.manual_seed(0)
    encoder = ResNet1d((8, 16, 16), (3, 4, 6), (3, 4, 4)).double().eval()
    x = batch(time=256)["anchor"]
    changed = x.clone()
    changed[..., 254] += 100
    before, after = (encoder.features(v) for v in (x, changed))
    assert (before[..., :32] - after[..., :32]).abs().max() > 1e-10


def test_every_other_patch_is_a_negative():
    """Also those of the same window: the positive of step k is k patches ahead and nothing else."""
    z = torch.eye(6).view(2, 3, 6)
    scores = similarities(2 * z[:, 1:], z)
    assert torch.equal(scores, 2 * torch.eye(6)[[1, 2, 4, 5]])


def test_samples_that_fill_no_patch_are_left_out():
    cpc = made()
    x = batch(time=67)["anchor"]
    assert torch.equal(cpc.embed(x), cpc.embed(x[..., :64]))


def test_scores_keep_their_digits_under_autocast():
    predicted, z = torch.randn(2, 3, 8), torch.randn(2, 4, 8)
    expected = similarities(predicted, z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(similarities(predicted, z), expected)
    assert similarities(predicted.bfloat16(), z.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("steps", [0, 4, 9])
def test_impossible_options_are_refused(steps):
    with pytest.raises(ConfigError, match=r"steps=\d: 4 patches allow 1 to 3 steps"):
        made(steps=steps)
    with pytest.raises(ConfigError, match=r"A patch has 10 of the 43 samples .* needs 11: set .*patches to 3 or less"):
        made().embed(batch(time=43)["anchor"])
    assert made().embed(batch(time=44)["anchor"]).shape == (5, 4, 16)
