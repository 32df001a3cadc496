"""The nets of the supervised baselines: layout, any length, one window at a time, gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from relcon_lightning.errors import DataError
from relcon_lightning.nets import ConvNet, DeepConvLSTM, LSTMNet

NETS = [DeepConvLSTM, ConvNet, LSTMNet]


def windows(batch: int, steps: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, 3, steps, generator=torch.Generator().manual_seed(seed))


def test_deep_conv_lstm_is_that_of_the_paper():
    net = DeepConvLSTM()
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size) for c in convolutions] == [
        (1, 64, (1, 5)),
        (64, 64, (1, 5)),
        (64, 64, (1, 5)),
        (64, 64, (1, 5)),
    ]
    assert (net.lstm.input_size, net.lstm.hidden_size, net.lstm.num_layers) == (3 * 64, 128, 2)
    assert net.dropout.p == 0.5


def test_the_convolutions_of_deep_conv_lstm_share_weights_and_mix_no_axes():
    net, x = DeepConvLSTM().eval(), windows(2, 40)
    features = net.convolutions(x[:, None])
    changed = x.clone()
    changed[:, 1] += 1
    other = net.convolutions(changed[:, None])
    torch.testing.assert_close(features[:, :, [0, 2]], other[:, :, [0, 2]])
    assert not torch.allclose(features[:, :, 1], other[:, :, 1])
    swapped = net.convolutions(x[:, None, [2, 1, 0]])
    torch.testing.assert_close(swapped, features[:, :, [2, 1, 0]])


@pytest.mark.parametrize("make", NETS)
@settings(max_examples=10)
@given(steps=st.integers(17, 80), batch=st.integers(1, 4))
def test_any_length_and_each_window_on_its_own(make, steps, batch):
    torch.manual_seed(0)
    net, x = make().eval(), windows(batch, steps)
    with torch.no_grad():
        together = net(x)
        assert together.shape == (batch, net.dim)
        for one, window in zip(together, x, strict=True):
            torch.testing.assert_close(net(window[None])[0], one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", NETS)
def test_every_parameter_learns_and_time_matters(make):
    torch.manual_seed(0)
    net, x = make().train(), windows(4, 40)
    net(x).square().sum().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None
        assert p.grad.abs().sum() > 0, name
    net.eval()
    assert not torch.allclose(net(x), net(x.flip(-1)), atol=1e-4)


@pytest.mark.parametrize("make", NETS)
def test_double_precision_agrees(make):
    torch.manual_seed(0)
    net, x = make().eval(), windows(3, 30)
    with torch.no_grad():
        single = net(x)
        double = net.double()(x.double())
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5)


def test_a_window_too_short_is_named():
    assert DeepConvLSTM().eval()(windows(1, 17)).isfinite().all()
    with pytest.raises(DataError, match="needs windows of 17 samples or more, not 16"):
        DeepConvLSTM()(windows(1, 16))
