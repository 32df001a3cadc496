"""Systems that an evaluation compares: a function from windows to features, and a probe on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

import numpy as np
from torch import nn

from relcon_lightning.data.resample import resample_windows
from relcon_lightning.downstream.end_to_end import EndToEndProbe, Nets
from relcon_lightning.downstream.features import handcrafted_features
from relcon_lightning.downstream.probes import RandomForestProbe, RandomForestRegressionProbe, TrainingMean
from relcon_lightning.embed.cache import embed_cached
from relcon_lightning.embed.windows import estimate_normalisation

RANDOM = "random encoder"
NORMALISED = "random, normalised"
HANDCRAFTED = "hand-crafted + forest"
HANDCRAFTED_LINEAR = "hand-crafted + linear"
MEAN = "training mean"
SCRATCH = "from scratch"


class Probe(Protocol):
    """A classifier on features; see ``relcon_lightning.downstream.probes``."""

    classes: list[str]

    def fit(self, x: np.ndarray, label: np.ndarray, x_val: np.ndarray, label_val: np.ndarray, seed: int = 0) -> Probe:
        """Fit on features ``(N, ...)``; the validation features may be used to choose hyperparameters."""
        ...

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Probabilities ``(N, C)``, with columns in the order of ``classes``."""
        ...


class RegressionProbe(Protocol):
    """A regression on features; see ``relcon_lightning.downstream.probes``."""

    def fit(
        self,
        x: np.ndarray,
        target: np.ndarray,
        x_val: np.ndarray,
        target_val: np.ndarray,
        seed: int = 0,
        participant: np.ndarray | None = None,
    ) -> RegressionProbe:
        """Fit on features ``(N, ...)``, targets ``(N,)`` and the participant ``(N,)`` of each window.

        Validation windows, or training participants that are left out, may be used to choose hyperparameters.
        """
        ...

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predicted targets ``(N,)``."""
        ...


P = TypeVar("P", bound=Probe | RegressionProbe)


@dataclass(frozen=True)
class System(Generic[P]):
    """A function that computes features, and a probe on them; both may depend on the seed.

    Attributes:
        name: Name in the report.
        features: Function from a seed and windows to features ``(N, ...)``.
        probe: Function that creates a new probe.
        parameters: Number of parameters of the encoder.
        seeded: True if the features depend on the seed. Otherwise they are computed once.
    """

    name: str
    features: Callable[[int, np.ndarray], np.ndarray]
    probe: Callable[[], P]
    parameters: int = 0
    seeded: bool = False


class Resampler:
    """Resamples the windows of an evaluation, once per rate.

    Args:
        rate: Sampling rate of the windows in Hz.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._last: dict[float, tuple[np.ndarray, np.ndarray]] = {}  # by rate: the windows, and resampled

    def to(self, rate: float, windows: np.ndarray) -> np.ndarray:
        """Windows ``(N, 3, T')`` at ``rate``; the same array as before if ``windows`` is the same array."""
        if rate == self.rate:
            return windows
        source, resampled = self._last.get(rate, (None, windows))
        if source is not windows:
            resampled = resample_windows(windows, self.rate, rate)
            self._last[rate] = (windows, resampled)
        return resampled


def frozen(
    name: str,
    encoders: Nets,
    probe: Callable[[], P],
    seeded: bool = True,
    device: str = "cpu",
    resampled: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> System[P]:
    """Frozen encoders with a probe on their embeddings.

    Args:
        name: Name in the report.
        encoders: Function from a seed to an encoder.
        probe: Function that creates a new probe.
        seeded: True if the encoder depends on the seed.
        device: Device that computes the embeddings.
        resampled: Function from windows to windows at the sampling rate of the encoder's training windows.
    """

    def features(seed: int, signal: np.ndarray) -> np.ndarray:
        return embed_cached(encoders(seed), resampled(signal), device, name)

    return System(name, features, probe, _parameters(encoders(0)), seeded)


def normalised(name: str, encoders: Nets, probe: Callable[[], P], device: str = "cpu") -> System[P]:
    """Encoders whose batch normalisation is fitted to the windows of the task: a stronger baseline for random encoders.

    Training sets these statistics in addition to the weights, and the statistics alone improve a random encoder. A
    system that beats this baseline does so because of its weights.
    """

    def features(seed: int, signal: np.ndarray) -> np.ndarray:
        return embed_cached(encoders(seed), signal, device, name, adapt=estimate_normalisation)

    return System(name, features, probe, _parameters(encoders(0)), seeded=True)


def end_to_end(name: str, nets: Nets, training: Callable[[Nets], EndToEndProbe]) -> System[Probe]:
    """Networks that are trained on the labels of the task; their features are the windows themselves."""
    return System(name, lambda _, x: x, partial(training, nets), _parameters(nets(0)))


def handcrafted(sampling_rate: float) -> System[Probe]:
    """Baseline without learned features."""
    return System(HANDCRAFTED, lambda _, x: handcrafted_features(x, sampling_rate), RandomForestProbe)


def handcrafted_regression(sampling_rate: float) -> System[RegressionProbe]:
    """Baseline without learned features for a regression."""
    return System(HANDCRAFTED, lambda _, x: handcrafted_features(x, sampling_rate), RandomForestRegressionProbe)


def handcrafted_under(probe: Callable[[], RegressionProbe], sampling_rate: float) -> System[RegressionProbe]:
    """Hand-crafted features with the same regression as the encoders."""
    return System(HANDCRAFTED_LINEAR, lambda _, x: handcrafted_features(x, sampling_rate), probe)


def training_mean() -> System[RegressionProbe]:
    """Baseline of a regression: the same number for all windows."""
    return System(MEAN, lambda _, x: np.zeros((len(x), 1)), TrainingMean)


def _parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())
