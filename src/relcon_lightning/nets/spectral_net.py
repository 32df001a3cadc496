"""An encoder with one hidden layer on statistics and spectrum of a window."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from relcon_lightning.errors import ConfigError, positive, whole
from relcon_lightning.nets.base import check_length

_CHANNELS = 4  # three axes and their norm
_PER_CHANNEL = 7  # statistics
_OF_JERK = 2  # its mean and deviation
_CORRELATIONS = 3  # pairs of axes
_TINY = 1e-9  # below all signals; keeps the gradients of roots finite
_FARTHEST = 10.0  # standard deviations; larger features are clamped
_STILL = 0.02  # g; the correlation of axes that move less is close to 0


class SpectralNet(nn.Module):
    """Statistics and spectrum of a window, normalised over windows, and one linear layer with GELU.

    This encoder is not in the paper. It has no convolution to learn, and hardly depends on the phase of a movement. The
    features are, for each axis and for the norm of the acceleration: mean, standard deviation, minimum, maximum, mean
    absolute deviation, roots of the third and fourth central moment, and the amplitude spectrum; for the norm of the
    jerk: mean, standard deviation and spectrum; and the correlations of the axes. Amplitudes and standard deviations
    are logarithmic. Windows longer than a frame have the mean spectrum of frames that overlap by half. The spectrum of
    a shorter window is interpolated to the frequencies of a frame.

    Args:
        frame: Number of samples in which a spectrum is computed: the length of a window in training.
        dim: Size of the embedding.
        bins: Number of frequencies, ``k / frame`` times the sampling rate for k from 1 to ``bins``.
        floor: Amplitude in g below which differences have little weight.

    Attributes:
        shortest: Number of samples of the shortest window that the encoder accepts.

    Raises:
        ConfigError: A number is out of range, or ``bins`` is more than half of ``frame``.
    """

    def __init__(self, frame: int, dim: int = 256, bins: int = 64, floor: float = 1 / 64) -> None:
        super().__init__()
        self.frame, self.bins = whole("encoder.frame", frame, least=2), whole("encoder.bins", bins)
        self.floor = positive("encoder.floor", floor)
        if 2 * bins > frame:
            raise ConfigError(f"encoder.bins={bins}: a frame of {frame} samples has {frame // 2} frequencies or fewer.")
        self.dim, self.shortest = whole("encoder.dim", dim), 2
        turns = torch.outer(torch.arange(1, bins + 1), torch.arange(frame)).remainder(frame).double() / frame
        waves = torch.cat([(2 * math.pi * turns).cos(), (2 * math.pi * turns).sin()]) * (2 / frame)
        self.waves: Tensor
        self.register_buffer("waves", waves[:, None].float(), persistent=False)
        count = _CHANNELS * (_PER_CHANNEL + bins) + _OF_JERK + bins + _CORRELATIONS
        self.norm = nn.BatchNorm1d(count, affine=False)
        self.layer = nn.Linear(count, dim)

    def extra_repr(self) -> str:
        """What the weights do not contain; a cache of embeddings depends on it."""
        return f"frame={self.frame}, bins={self.bins}, floor={self.floor:g}"

    def forward(self, x: Float[Tensor, "B 3 T"]) -> Float[Tensor, "B dim"]:
        """Map windows ``(B, 3, T)`` in g to embeddings ``(B, dim)``."""
        with torch.autocast(x.device.type, enabled=False):  # small amplitudes are lost in bfloat16
            features = self.norm(self.features(x.to(self.layer.weight.dtype))).clamp(-_FARTHEST, _FARTHEST)
            return F.gelu(self.layer(features))

    def features(self, x: Float[Tensor, "B 3 T"]) -> Float[Tensor, "B F"]:
        """Features ``(B, F)`` of windows ``(B, 3, T)`` in g, before they are normalised.

        Raises:
            ConfigError: The windows are too short.
        """
        check_length(x, self.shortest)
        channels = torch.cat([x, _norm(x)], dim=1)
        jerk = _norm(x.diff(dim=-1)) / 0.2  # per sample; divided to have the magnitude of the acceleration
        centred = channels - channels.mean(-1, keepdim=True)
        deviation = (centred.square().mean(-1) + _TINY).sqrt()
        third = centred.pow(3).mean(-1)
        statistics = [
            channels.mean(-1),
            self._log(deviation),
            channels.amin(-1),
            channels.amax(-1),
            centred.abs().mean(-1),
            third.sign() * (third.abs() + _TINY).pow(1 / 3),
            (centred.pow(4).mean(-1) + _TINY).pow(1 / 4),
            jerk.mean(-1),
            self._log((jerk.var(-1, correction=0) + _TINY).sqrt()),
            _correlations(centred[:, :3], deviation[:, :3]),
        ]
        changes = F.pad(jerk - jerk.mean(-1, keepdim=True), (0, 1), mode="replicate")  # as long as the window
        spectra = [self._spectrum(centred), self._spectrum(changes)]
        return torch.cat([*statistics, *spectra], dim=1)

    def _spectrum(self, x: Tensor) -> Tensor:
        """Logarithmic amplitudes ``(B, C * bins)`` of centred signals ``(B, C, T)``, mean over frames."""
        hop = self.frame // 2
        missing = torch.sym_max(self.frame - x.shape[-1], 0)  # type: ignore[no-untyped-call] # a shorter window is padded
        # One more frame with weight 0: torch.export would turn a number of frames that is 1 into a constant.
        signals = F.pad(x.flatten(0, 1)[:, None], (0, hop + missing))
        real, imaginary = F.conv1d(signals, self.waves.to(x.dtype), stride=hop).chunk(2, dim=1)
        filled = self.frame / (self.frame - missing)
        logarithms = self._log((real.square() + imaginary.square() + _TINY**2).sqrt() * filled)
        frames = logarithms.shape[-1] - 1
        weights = torch.arange(frames + 1, device=x.device).lt(frames).to(x.dtype) / frames
        return (logarithms @ weights).reshape(x.shape[0], x.shape[1] * self.bins)

    def _log(self, amplitude: Tensor) -> Tensor:
        return (amplitude / self.floor).log1p()


def _norm(x: Tensor) -> Tensor:
    """Euclidean norm ``(B, 1, T)`` over the axes of ``(B, 3, T)``, with a gradient that is finite at 0."""
    return (x.square().sum(1, keepdim=True) + _TINY**2).sqrt()


def _correlations(centred: Tensor, deviation: Tensor) -> Tensor:
    """Correlations ``(B, 3)`` of the axes xy, xz and yz."""
    units = centred / (deviation[..., None] + _STILL)
    products = [(units[:, i] * units[:, j]).mean(-1) for i, j in ((0, 1), (0, 2), (1, 2))]
    return torch.stack(products, dim=1)
