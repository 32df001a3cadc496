from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from relcon_lightning.nets.heads import Decoder, mlp
from tests.margins import assert_below


def test_mlp_has_no_activation_at_its_end():
    assert [type(layer) for layer in mlp([4, 3, 2])] == [nn.Linear, nn.ReLU, nn.Linear]
    normed = mlp([4, 3, 2], batch_norm=True)
    assert [type(layer) for layer in normed] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert normed[1].num_features == 3


@given(length=st.integers(1, 70), time=st.integers(1, 300), stages=st.integers(1, 5))
def test_decoder_gives_windows_of_any_length_from_features_of_any_length(length, time, stages):
    with torch.no_grad():
        assert Decoder(4, 6, stages, 3)(torch.randn(2, 4, length), time).shape == (2, 3, time)


@pytest.mark.parametrize("time", [64, 250, 256, 1000])
def test_decoder_stages_lengthen_by_one_factor(time):
    decoder = Decoder(4, 6, stages=5)
    lengths: list[int] = []
    for stage in decoder.stages:
        stage.register_forward_hook(lambda _, inputs, __: lengths.append(inputs[0].shape[-1]))
    decoder(torch.randn(1, 4, 8), time)
    assert lengths == [round(8 * (time / 8) ** (i / 5)) for i in range(1, 6)]
    assert lengths[-1] == time


def test_decoder_keeps_the_order_of_time():
    """Features of the first half alone change the first half of the window alone, but for the kernels' reach."""
    torch.manual_seed(0)
    decoder = Decoder(4, 8, stages=1, kernel_size=3)
    a = torch.randn(1, 4, 16)
    b = torch.cat([torch.randn(1, 4, 8), a[..., 8:]], -1)
    changed = (decoder(a, 64) != decoder(b, 64)).any(1)[0]
    assert changed[:32].all()
    assert not changed[34:].any()


def test_decoder_can_be_fitted_to_a_signal(training_seed):
    torch.manual_seed(training_seed)
    time = torch.linspace(0, 12, 64)
    wave = torch.stack([time.sin(), time.cos(), time.sin() ** 2])[None]
    features, decoder = torch.randn(1, 4, 16), Decoder(4, 16)
    optimizer = torch.optim.Adam(decoder.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        F.mse_loss(decoder(features, 64), wave).backward()
        optimizer.step()
    assert_below(F.mse_loss(decoder(features, 64), wave) / wave.var(), 0.02, "unexplained variance")
