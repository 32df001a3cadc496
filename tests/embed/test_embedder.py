from __future__ import annotations

import numpy as np
import pytest
import torch

from relcon_lightning import Embedder, embed_recording
from relcon_lightning.embed.embedder import MixedPrecision
from relcon_lightning.errors import ConfigError, DataError
from relcon_lightning.nets import resnet34_1d, small_resnet_1d
from tests.margins import assert_below


def made(net=small_resnet_1d, seed=0, **options):
    torch.manual_seed(seed)
    encoder = net().eval()
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics as after some training
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return encoder, Embedder(encoder, 100.0, 2.56, device="cpu", **{"precision": "float32", **options})


def walk(seconds, rate, seed=0):
    t = np.arange(round(seconds * rate)) / rate
    noise = 0.02 * np.random.default_rng(seed).standard_normal((len(t), 3))
    return np.stack([np.sin(9 * t), 0.3 * np.sin(18 * t), 1 + 0 * t], axis=1) + noise


def test_a_window_gets_the_embedding_the_encoder_gives_it():
    encoder, embedder = made()
    signal = walk(20, 100).astype(np.float32)
    starts, z = embed_recording(embedder, signal, 100.0)
    np.testing.assert_allclose(starts, np.arange(7) * 2.56)
    windows = torch.from_numpy(signal[: 7 * 256].reshape(7, 256, 3).transpose(0, 2, 1).copy())
    with torch.no_grad():
        np.testing.assert_allclose(z, encoder(windows).numpy(), atol=1e-5)


def test_any_stride_and_rate(training_seed):
    _, embedder = made(seed=training_seed)
    starts, dense = embed_recording(embedder, walk(20, 100), 100.0, stride_s=0.5)
    assert len(starts) == (2000 - 256) // 50 + 1
    _, beside = embed_recording(embedder, walk(20, 100), 100.0, stride_s=2.56)
    np.testing.assert_allclose(dense[0], beside[0], atol=1e-5)
    starts, other = embed_recording(embedder, walk(20, 50), 50.0)
    assert len(starts) == 7
    cosine = torch.cosine_similarity(torch.tensor(other[3]), torch.tensor(beside[3]), dim=0)
    assert_below(1 - cosine, 0.02, "1 - cosine")


def test_batches_do_not_matter_and_shrink_to_what_memory_holds(monkeypatch):
    encoder, embedder = made(batch_size=3)
    _, z = embed_recording(embedder, walk(30, 100), 100.0)
    whole = embed_recording(made(batch_size=64)[1], walk(30, 100), 100.0)[1]
    np.testing.assert_allclose(z, whole, atol=1e-5)
    _, embedder = made(batch_size=64)
    forward = type(encoder).forward

    def small_memory(self, x):
        if len(x) > 4:
            raise torch.OutOfMemoryError("no memory")
        return forward(self, x)

    monkeypatch.setattr(type(encoder), "forward", small_memory)
    np.testing.assert_allclose(embed_recording(embedder, walk(30, 100), 100.0)[1], whole, atol=1e-5)
    assert embedder.batch_size == 4


@pytest.mark.parametrize("net", [small_resnet_1d, resnet34_1d])
def test_bfloat16_keeps_the_direction_of_embeddings(net, training_seed):
    encoder, exact = made(net, seed=training_seed)
    fast = Embedder(encoder, 100.0, 2.56, device="cpu", precision="bfloat16")
    assert isinstance(fast.encoder, MixedPrecision)
    signal = np.concatenate([walk(20, 100, seed) * (1 + seed) for seed in range(3)])
    expected, found = (torch.from_numpy(embed_recording(e, signal, 100.0)[1]) for e in (exact, fast))
    assert_below(1 - torch.cosine_similarity(expected, found).min(), 1e-3, "1 - cosine")


@pytest.mark.parametrize(
    ("signal", "rate", "message"),
    [
        (np.zeros((10, 2)), 100.0, r"Expected a signal \(samples, 3\)"),
        (walk(20, 100) * 9.81, 100.0, "It looks like m"),
        (walk(20, 100), 0.0, "above 0 Hz"),
        (walk(2, 100), 100.0, "has no window"),
        (np.full((3000, 3), np.nan), 100.0, "has no window"),
    ],
)
def test_a_recording_that_cannot_be_embedded_is_named(signal, rate, message):
    with pytest.raises(DataError, match=message):
        embed_recording(made()[1], signal, rate)


@pytest.mark.parametrize(
    "options", [{"precision": "int8"}, {"batch_size": 0}, {"device": "nowhere"}, {"device": "cuda:99"}]
)
def test_a_setting_that_cannot_work_is_named(options):
    with pytest.raises(ConfigError, match=str(next(iter(options.values())))):
        Embedder(small_resnet_1d(), 100.0, 2.56, **options)


def test_a_stride_longer_than_the_recording_gives_its_first_window():
    starts, _ = embed_recording(made()[1], walk(20, 100), 100.0, stride_s=1e30)
    assert starts.tolist() == [0]


def test_a_stride_below_a_sample_and_a_bare_encoder_are_refused():
    encoder, embedder = made()
    for stride in (0.001, 0.005, 0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="stride_s"):
            embed_recording(embedder, walk(20, 100), 100.0, stride_s=stride)
    with pytest.raises(ConfigError, match="An encoder alone has no sampling rate"):
        embed_recording(encoder, walk(20, 100), 100.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rate", "window_s"), [(100.0, 1e9), (1e12, 2.56), ("fast", 2.56), (100.0, None), (100.0, np.nan)]
)
def test_a_window_that_no_encoder_has_takes_no_memory(rate, window_s):
    with pytest.raises(ConfigError, match=r"expected a number above 0|more than the limit of"):
        Embedder(small_resnet_1d(), rate, window_s)


def test_embeddings_that_are_not_finite_are_refused():
    _, embedder = made()
    signal = walk(20, 100)
    signal[700] = 3e38
    with pytest.raises(DataError, match=r"windows have an embedding that is not finite.* at 5\.12 s.*reach"):
        embed_recording(embedder, signal, 100)
    encoder = small_resnet_1d()
    with torch.no_grad():
        next(encoder.parameters()).fill_(float("nan"))
    with pytest.raises(ConfigError, match="weights of the encoder are damaged"):
        Embedder(encoder.eval(), 100.0, 2.56, device="cpu", precision="float32")
