from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import ConfigError
from relcon_lightning.methods import MAE
from relcon_lightning.nets import ResNet1d


def made(**options) -> MAE:
    torch.manual_seed(0)
    method = MAE(ResNet1d((8, 16), (1, 1), (3, 3)), **{"patch": 8, **options}).eval()
    nn.init.normal_(method.token)
    return method


def batch(n: int = 5, time: int = 64) -> CandidateBatch:
    x = torch.randn(n, 3, time, generator=torch.Generator().manual_seed(1))
    return CandidateBatch.of(x, x[:, None])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@torch.no_grad()
@pytest.mark.parametrize("time", [61, 64])
def test_loss_is_the_mean_error_of_hidden_samples_written_out(time):
    mae, windows = made(), batch(time=time)["anchor"]
    hidden = mae.hide(5, time, generator())
    rebuilt = mae.rebuild(windows, hidden)
    errors = [
        (float(rebuilt[i, axis, t]) - float(windows[i, axis, t])) ** 2
        for i in range(5)
        for t in range(time)
        if hidden[i, t]
        for axis in range(3)
    ]
    expected = sum(errors) / len(errors)
    assert mae.loss(batch(time=time), generator(), "train").item() == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_how_visible_samples_are_rebuilt_does_not_matter():
    mae = made()
    loss, rebuild = mae.loss(batch(), generator(), "train"), mae.rebuild
    mae.rebuild = lambda x, hidden: rebuild(x, hidden) + 100 * ~hidden[:, None]
    assert mae.loss(batch(), generator(), "train") == loss
    mae.rebuild = lambda x, hidden: rebuild(x, hidden) + 100 * hidden[:, None]
    assert mae.loss(batch(), generator(), "train") > loss + 1000


@torch.no_grad()
def test_hidden_samples_are_not_seen():
    """Trap: an encoder that sees what it has to rebuild."""
    mae, windows = made(), batch()["anchor"]
    hidden = mae.hide(5, 64, generator())
    other = windows + 10 * torch.randn_like(windows)
    assert torch.equal(mae.rebuild(torch.where(hidden[:, None], other, windows), hidden), mae.rebuild(windows, hidden))
    assert not torch.equal(
        mae.rebuild(torch.where(hidden[:, None], windows, other), hidden), mae.rebuild(windows, hidden)
    )
    shown: list[torch.Tensor] = []
    mae.encoder.stem.register_forward_hook(lambda _, inputs, __: shown.append(inputs[0].squeeze(2)))
    mae.rebuild(windows, hidden)
    assert torch.equal(shown[0].mT[hidden], mae.token.expand(int(hidden.sum()), 3))
    assert torch.equal(shown[0].mT[~hidden], windows.mT[~hidden])


@given(patch=st.integers(1, 40), time=st.integers(41, 130), share=st.floats(0.01, 0.99))
def test_whole_patches_are_hidden_and_never_all_nor_none(patch, time, share):
    hidden = made(patch=patch, share=share).hide(6, time, generator())
    assert hidden.shape == (6, time)
    pieces = hidden.split(patch, dim=1)
    for piece in pieces:
        assert (piece == piece[:, :1]).all()
    count = torch.stack([piece[:, 0] for piece in pieces], 1).sum(1)
    assert (count == count[0]).all()
    assert 1 <= count[0] < len(pieces)
    assert abs(count[0] - share * len(pieces)) <= 1


def test_every_patch_is_hidden_equally_often():
    often = made(patch=8, share=0.5).hide(2000, 64, generator()).float().mean(0)
    assert ((often > 0.45) & (often < 0.55)).all()
    assert len(made().hide(50, 64, generator()).unique(dim=0)) > 20


@pytest.mark.parametrize("spread", [True, False])
def test_the_decoder_reads_features_before_pooling(spread):
    mae = MAE(ResNet1d((8, 16), (1, 1), (3, 3), spread=spread), patch=8)
    assert mae.decoder.squeeze.in_channels == 16
    mae.encoder.forward = None  # the pooling of the encoder is not passed
    assert mae.loss(batch(), generator(), "train").isfinite()


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_impossible_options_are_refused(share):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        made(share=share)
    with pytest.raises(ConfigError, match=r"only one patch.*patch below 64"):
        made(patch=64).loss(batch(), generator(), "train")
    with pytest.raises(ConfigError, match="needs a ResNet1d, not a Linear"):
        MAE(nn.Linear(3, 3))
