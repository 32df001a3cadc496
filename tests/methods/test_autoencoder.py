from __future__ import annotations

import pytest
import torch

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.methods import Autoencoder
from relcon_lightning.nets import ResNet1d
from tests.margins import assert_below


@pytest.fixture
def autoencoder() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(ResNet1d((8, 16), (1, 1), (3, 3)), width=8, stages=3)


def batch(n: int = 4, time: int = 64) -> CandidateBatch:
    x = torch.randn(n, 3, time, generator=torch.Generator().manual_seed(1))
    return CandidateBatch.of(x, x[:, None])


@torch.no_grad()
@pytest.mark.parametrize("time", [50, 64, 256])
def test_loss_is_the_mean_squared_error_written_out(autoencoder, time):
    autoencoder.eval()
    x = batch(time=time)["anchor"]
    rebuilt = autoencoder.decode(autoencoder.encoder(x), time).double()
    total = sum(float((rebuilt[i, a, t] - x[i, a, t]) ** 2) for i in range(4) for a in range(3) for t in range(time))
    found = autoencoder.loss(batch(time=time), torch.Generator(), "train").item()
    assert found == pytest.approx(total / (4 * 3 * time), rel=1e-5)


@torch.no_grad()
def test_windows_are_rebuilt_from_the_embedding_and_nothing_else(autoencoder):
    """Trap: a decoder that reads features over time, or another window of the batch, is no bottleneck."""
    autoencoder.eval()
    seen: list[torch.Tensor] = []
    autoencoder.unfold.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    autoencoder.loss(batch(), torch.Generator(), "train")
    assert torch.equal(seen[0], autoencoder.encoder(batch()["anchor"]))
    z = torch.randn(3, 16)
    changed = z.clone()
    changed[1] += 1
    before, after = autoencoder.decode(z, 64), autoencoder.decode(changed, 64)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert not torch.equal(before[1], after[1])


def test_a_few_windows_can_be_learnt_by_heart(training_seed):
    torch.manual_seed(training_seed)
    autoencoder = Autoencoder(ResNet1d((8, 16), (1, 1), (3, 3)), width=16)
    t = torch.arange(64) / 8
    phase = torch.arange(4.0)[:, None]
    waves = torch.stack([(t + phase).sin(), (2 * t + phase).cos(), (t * (phase + 1) / 2).sin()], 1)
    optimizer = torch.optim.Adam(autoencoder.parameters(), 5e-3)
    content = CandidateBatch.of(waves, waves[:, None])
    for _ in range(200):
        optimizer.zero_grad()
        loss = autoencoder.loss(content, torch.Generator(), "train")
        loss.backward()
        optimizer.step()
    assert_below(loss / waves.var(), 0.15, "unexplained variance")  # the mean of all windows leaves 1
