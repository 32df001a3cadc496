"""The spectral net against its features in numpy, float64, one window at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from relcon_lightning.errors import ConfigError
from relcon_lightning.nets import SpectralNet
from relcon_lightning.nets.base import is_encoder
from relcon_lightning.runs.networks import restored

FRAME, BINS, FLOOR = 32, 10, 1 / 64


def made(frame=FRAME, bins=BINS, **options):
    torch.manual_seed(0)
    return SpectralNet(frame, **{"dim": 6, "bins": bins, **options}).double().eval()


def windows(count=3, steps=FRAME, seed=0, scale=1.0):
    x = np.random.default_rng(seed).standard_normal((count, 3, steps)) * scale
    x[:, 2] += 1.0  # gravity
    return torch.from_numpy(x)


def amplitudes(signal, frame, bins):
    """Amplitude in g at k = 1 to ``bins`` cycles per frame, of each frame; frames overlap by half."""
    if len(signal) < frame:  # the Fourier transform of a signal that is 0 outside the window, at these frequencies
        turns = np.outer(np.arange(1, bins + 1) / frame, np.arange(len(signal)))
        return np.array([2 / len(signal) * np.abs(np.exp(-2j * np.pi * turns) @ signal)])
    starts = range(0, len(signal) - frame + 1, frame // 2)
    return np.array([2 / frame * np.abs(np.fft.rfft(signal[s : s + frame]))[1 : bins + 1] for s in starts])


def reference(x, frame=FRAME, bins=BINS, floor=FLOOR):
    """Features by name, in the order of the net; moments and variances in place of their roots."""
    x = np.asarray(x, dtype=np.float64)
    channels = [*x, np.sqrt((x**2).sum(0))]
    steps = [5 * np.linalg.norm(x[:, t + 1] - x[:, t]) for t in range(x.shape[1] - 1)]
    away = [c - c.mean() for c in channels]
    still = [c.std() + 0.02 for c in channels]
    changes = np.array([*steps, steps[-1]]) - np.mean(steps)
    return {
        "mean": [c.mean() for c in channels],
        "deviation": [c.var() for c in channels],
        "minimum": [c.min() for c in channels],
        "maximum": [c.max() for c in channels],
        "absolute": [np.abs(c).mean() for c in away],
        "third": [(c**3).mean() for c in away],
        "fourth": [(c**4).mean() for c in away],
        "jerk": [np.mean(steps)],
        "deviation of jerk": [np.var(steps)],
        "correlations": [(away[i] * away[j]).mean() / (still[i] * still[j]) for i, j in ((0, 1), (0, 2), (1, 2))],
        "spectra": [np.log1p(amplitudes(c, frame, bins) / floor).mean(0) for c in away],
        "spectrum of jerk": np.log1p(amplitudes(changes, frame, bins) / floor).mean(0),
    }


def named(features, bins=BINS, floor=FLOOR):
    """The features of one window by name; roots are raised to their power again."""
    names = ["mean", "deviation", "minimum", "maximum", "absolute", "third", "fourth"]
    sizes = [(name, 4) for name in names] + [("jerk", 1), ("deviation of jerk", 1), ("correlations", 3)]
    sizes += [("spectra", 4 * bins), ("spectrum of jerk", bins)]
    found, at = {}, 0
    for name, size in sizes:
        found[name], at = features[at : at + size], at + size
    assert at == len(features)
    for name in ("deviation", "deviation of jerk"):
        found[name] = (floor * np.expm1(found[name])) ** 2
    return found | {"third": found["third"] ** 3, "fourth": found["fourth"] ** 4}


def check(net, x):
    for one, window in zip(net.features(x).numpy(), x.numpy(), strict=True):
        found = named(one, net.bins, net.floor)
        for name, values in reference(window, net.frame, net.bins, net.floor).items():
            # The waves are float32. A billionth keeps the gradients of roots finite; it changes the correlation of two
            # axes of deviation d, which is d / 0.02 or less, by a part in 2 d * 0.02 / 1e-9 for each axis, and the
            # logarithm of a spectrum of zeros by 64e-9 times the parts of a frame that a window fills.
            tolerance = 5e-6 if name in ("spectra", "spectrum of jerk", "correlations") else 2e-9
            np.testing.assert_allclose(found[name], np.ravel(values), rtol=1e-5, atol=tolerance, err_msg=name)


@settings(max_examples=40)
@given(
    frame=st.integers(2, 40),
    other=st.integers(-38, 70),
    part=st.floats(0, 1),
    scale=st.sampled_from([0.05, 1.0, 8.0]),
    seed=st.integers(0, 99),
)
def test_features_are_those_of_numpy_whatever_the_length(frame, other, part, scale, seed):
    """Longer windows: mean of the logarithms over frames that overlap by half."""
    bins = max(1, round(part * (frame // 2)))
    check(made(frame, bins), windows(2, max(2, frame + other), seed, scale))


@pytest.mark.parametrize("floor", [1e-3, 0.5])
def test_the_floor_is_that_of_all_logarithms(floor):
    check(made(floor=floor), windows())


def test_a_movement_is_at_its_frequency_with_its_amplitude_in_g():
    t = torch.arange(FRAME) / FRAME
    x = torch.zeros(1, 3, FRAME, dtype=torch.float64)
    x[0, 1] = 0.5 * torch.sin(2 * torch.pi * 3 * t + 0.7)
    spectrum = named(made().features(x)[0].numpy())["spectra"].reshape(4, BINS)[1]
    np.testing.assert_allclose(spectrum, [np.log1p(0.5 * 64) if k == 3 else 0 for k in range(1, BINS + 1)], atol=1e-5)


@pytest.mark.parametrize("longer", [0, 1, FRAME // 2 - 1])
@given(shift=st.integers(1, FRAME - 1), seed=st.integers(0, 9))
def test_whole_samples_of_shift_leave_a_periodic_signal_its_spectrum(longer, shift, seed):
    period = windows(1, FRAME, seed)
    signal = period.repeat(1, 1, 3)
    net, steps = made(), FRAME + longer
    first, later = (named(net.features(signal[..., s : s + steps])[0].numpy()) for s in (0, shift))
    np.testing.assert_allclose(first["spectra"], later["spectra"], atol=1e-6)
    if longer:  # a window of one frame has a jerk less than it has samples, of which the last is repeated
        np.testing.assert_allclose(first["spectrum of jerk"], later["spectrum of jerk"], atol=1e-6)


def test_the_embedding_is_one_layer_with_gelu_on_features_normalised_over_windows():
    net, x = made(), windows(40)
    features = net.features(x).numpy()
    for _ in range(200):  # the running statistics converge to those of the windows
        net.train()(x)
    means, spreads = features.mean(0), features.var(0, ddof=1)
    np.testing.assert_allclose(net.norm.running_mean.numpy(), means, rtol=1e-6, atol=1e-7)
    weight, bias = net.layer.weight.detach().numpy(), net.layer.bias.detach().numpy()

    def embedded(x, spread):
        z = np.clip((net.features(x).numpy() - means) / np.sqrt(spread + net.norm.eps), -10, 10) @ weight.T + bias
        return z / 2 * (1 + erf(z / np.sqrt(2)))

    with torch.no_grad():
        np.testing.assert_allclose(net(x).numpy(), embedded(x, features.var(0)), rtol=1e-6, atol=1e-7)
        strange = torch.cat([x[:3], 1000 * x[:2]])  # farther than 10 standard deviations
        np.testing.assert_allclose(net.eval()(strange).numpy(), embedded(strange, spreads), rtol=1e-5, atol=1e-6)


@given(order=st.permutations(range(5)), size=st.integers(1, 5))
def test_windows_do_not_depend_on_the_others_in_their_batch(order, size):
    net, x = made(), windows(5)
    with torch.no_grad():
        whole, parts = net(x), torch.cat([net(part) for part in x[list(order)].split(size)])
    torch.testing.assert_close(parts, whole[list(order)], rtol=1e-10, atol=1e-10)
    parts = torch.cat([net.features(part) for part in x[list(order)].split(size)])
    torch.testing.assert_close(parts, net.features(x)[list(order)], rtol=1e-10, atol=1e-10)


RANDOM = windows(4, seed=7).float()
STILL = {
    "zero": torch.zeros(4, 3, FRAME),
    "gravity": torch.tensor([0.0, 0.0, 1.0])[:, None].expand(4, 3, FRAME).clone(),
    "all axes": torch.full((4, 3, FRAME), 0.3),
    "one axis moves": torch.zeros(4, 3, FRAME).index_copy_(1, torch.tensor([1]), RANDOM[:, :1]),
    "one spike": torch.zeros(4, 3, FRAME).index_fill_(-1, torch.tensor([3]), 16.0),
    "tiny": 1e-8 * RANDOM,
    "huge": 1e4 * RANDOM,
}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("kind", STILL)
def test_windows_at_rest_or_broken_have_a_finite_embedding_and_gradient(kind, train):
    net = SpectralNet(FRAME, 6, BINS).train(train)
    x = STILL[kind].clone().requires_grad_()
    assert net.features(x).isfinite().all()
    net(x).square().sum().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_windows_at_rest_have_no_deviation_jerk_correlation_or_spectrum():
    found = named(made().features(STILL["gravity"].double())[0].numpy())
    np.testing.assert_allclose(found["mean"], [0, 0, 1, 1], atol=1e-8)
    for name in found.keys() - {"mean", "minimum", "maximum"}:
        np.testing.assert_allclose(found[name], 0, atol=1e-5, err_msg=name)


def test_a_window_of_one_sample_is_refused():
    net = made()
    assert is_encoder(made())
    assert (net.dim, net.shortest) == (6, 2)
    for of in (net, net.features):
        with pytest.raises(ConfigError, match="Windows of 1 sample: this encoder needs 2 samples or more"):
            of(windows(2, 1))
        assert of(windows(2, 2)).isfinite().all()


def test_a_part_of_a_movement_has_about_the_spectrum_of_the_whole():
    t = torch.arange(FRAME) / FRAME
    x = (0.5 * torch.sin(2 * torch.pi * 4 * t)).double().repeat(1, 3, 1)
    whole, half = (named(made().features(part)[0].numpy())["spectra"][:BINS] for part in (x, x[..., : FRAME // 2]))
    assert whole[3] == pytest.approx(np.log1p(0.5 * 64), rel=1e-6)
    assert half[3] == pytest.approx(whole[3], rel=1e-6)
    assert (np.delete(half, 3) < half[3]).all()


@pytest.mark.parametrize("frame", [2, 3, 32, 33])
def test_half_of_the_frame_is_the_last_frequency(frame):
    check(made(frame, frame // 2), windows(2, frame))
    with pytest.raises(ConfigError, match=f"encoder.bins={frame // 2 + 1}: a frame of {frame} samples"):
        made(frame, frame // 2 + 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in ("bins", "dim", "frame") for value in (0, -1, 1.5, 4.0, True, None, "8")]
    + [("frame", 1)]
    + [("floor", value) for value in (0, -1.0, float("nan"), float("inf"), True, None)],
)
def test_numbers_that_cannot_be_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"encoder.{name}={value}: expected"):
        SpectralNet(**{"frame": FRAME, "bins": 1, name: value})


@pytest.mark.parametrize("train", [True, False])
def test_autocast_changes_nothing(train):
    net, x = made().float().train(train), windows(4, scale=0.02).float()
    expected = net(x)
    expected.sum().backward()
    gradient = net.layer.weight.grad.clone()
    net.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        found = net(x)
    found.sum().backward()
    assert found.dtype == torch.float32
    assert torch.equal(net.layer.weight.grad, gradient)
    assert torch.equal(found, expected)


def test_windows_in_half_precision_are_embedded_in_that_of_the_weights():
    net, x = made().float(), windows().bfloat16()
    assert torch.equal(net(x), net(x.float()))


def test_a_checkpoint_holds_what_is_learned_alone():
    assert set(made().state_dict()) == {
        "layer.weight",
        "layer.bias",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    }


def test_it_is_built_without_memory():
    with torch.device("meta"):
        net = SpectralNet(FRAME, 6, BINS)
    assert all(tensor.is_meta for tensor in (*net.parameters(), *net.buffers()))
    assert net.features(torch.zeros(2, 3, FRAME, device="meta")).shape == (2, net.layer.in_features)


CONFIG = {"_target_": "relcon_lightning.nets.SpectralNet", "frame": FRAME, "dim": 6, "bins": BINS, "floor": 0.1}


def test_it_comes_back_from_its_configuration_and_weights():
    net = made(floor=0.1).float().train()
    net(windows(8).float())
    found, x = restored(CONFIG, net.state_dict(), "run.ckpt"), windows().float()
    assert not found.training
    assert torch.equal(found(x), net.eval()(x))


@pytest.mark.parametrize(
    ("change", "message"), [({"bins": 11}, "size mismatch"), ({"bins": 40}, "encoder.bins=40"), ({"dim": 7}, "size")]
)
def test_weights_of_other_sizes_are_refused(change, message):
    with pytest.raises(ConfigError, match=f"run.ckpt do not fit its configuration: .*{message}"):
        restored(CONFIG | change, made().state_dict(), "run.ckpt")


def test_settings_that_the_weights_do_not_contain_are_in_the_description():
    """A cache of embeddings compares descriptions and weights."""
    assert str(SpectralNet(FRAME, bins=BINS, floor=0.5)) != str(SpectralNet(FRAME, bins=BINS, floor=0.25))
    assert str(SpectralNet(FRAME, bins=BINS)) != str(SpectralNet(FRAME + 2, bins=BINS))


def test_an_empty_batch_has_no_embeddings():
    assert SpectralNet(FRAME, bins=BINS, dim=6).eval()(torch.zeros(0, 3, FRAME)).shape == (0, 6)
