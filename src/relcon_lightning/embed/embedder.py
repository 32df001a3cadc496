"""Embed recordings: one embedding per window."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from relcon_lightning.data.recording import samples_in
from relcon_lightning.data.resample import check_unit
from relcon_lightning.data.stream import Block, Piece, WindowCutter, blocks_of, pieces_of
from relcon_lightning.embed.windows import embed_windows
from relcon_lightning.errors import ConfigError, DataError
from relcon_lightning.runs.checkpoint import Checkpoint

MAX_GAP_S = 1.0
_LONGEST_WINDOW = 2**20  # samples: three hours at 100 Hz


class MixedPrecision(nn.Module):
    """An encoder whose convolutions compute in bfloat16."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        """Embed windows, as the encoder does."""
        with torch.autocast(x.device.type, torch.bfloat16):
            embeddings: Tensor = self.encoder(x)
        return embeddings


class Embedder:
    """An encoder with the sampling rate and length of its training windows.

    Args:
        encoder: Network from windows ``(B, 3, T)`` in g to embeddings ``(B, dim)``.
        sampling_rate: Sampling rate of its windows in Hz.
        window_s: Length of its windows in seconds.
        batch_size: Number of windows per batch; halved when the memory of the device runs out.
        device: ``cpu``, ``cuda``, ``cuda:1`` ..., or ``auto``: a GPU if there is one.
        precision: ``float32``, ``bfloat16`` (cosines of 0.999 with float32, twice as fast on a CPU that has
            instructions for it), or ``auto``: bfloat16 if the device has such instructions.

    Raises:
        ConfigError: A rate, window or batch size is not positive, or there is no such device or precision.
    """

    def __init__(
        self,
        encoder: nn.Module,
        sampling_rate: float,
        window_s: float,
        batch_size: int = 256,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        if precision not in ("auto", "float32", "bfloat16"):
            raise ConfigError(f"precision={precision}: expected auto, float32 or bfloat16.")
        for name, value in (("sampling_rate", sampling_rate), ("window_s", window_s), ("batch_size", batch_size)):
            if not isinstance(value, int | float) or not 0 < value < np.inf:
                raise ConfigError(f"{name}={value}: expected a number above 0.")
        if window_s * sampling_rate > _LONGEST_WINDOW:  # a checkpoint can claim any length
            raise ConfigError(
                f"window_s={window_s}: at {sampling_rate} Hz that is more than the limit of {_LONGEST_WINDOW} samples."
            )
        self.encoder, self.sampling_rate, self.window_s = encoder, float(sampling_rate), float(window_s)
        self.batch_size, self.device = batch_size, find_device(device)
        self.window = round(window_s * sampling_rate)
        if precision == "bfloat16" or (precision == "auto" and _has_bfloat16(self.device)):
            self.encoder = MixedPrecision(encoder)
        still = self._embed(np.zeros((1, 3, self.window), dtype=np.float32))
        if not np.isfinite(still).all():
            raise ConfigError(
                "The weights of the encoder are damaged: a window at rest has an embedding that is not finite."
            )
        self.dim: int = still.shape[1]

    @classmethod
    def load(
        cls, checkpoint: str | Path, batch_size: int = 256, device: str = "auto", precision: str = "auto"
    ) -> Embedder:
        """Load the encoder of a checkpoint, as :func:`~relcon_lightning.runs.checkpoint.load_encoder` does.

        Raises:
            ConfigError: The encoder cannot be loaded, or its sampling rate and window are not known.
        """
        found = Checkpoint.read(checkpoint)
        rate, window_s = found.sampling_rate, found.window_s
        return cls(found.encoder(), rate, window_s, batch_size, device, precision)

    def fingerprint(self) -> str:
        """SHA-256 of the weights, the sampling rate and the window."""
        digest = hashlib.sha256(f"{self.encoder} {self.sampling_rate} {self.window}".encode())
        for name, weights in self.encoder.state_dict().items():
            digest.update(name.encode() + weights.cpu().numpy().tobytes())
        return digest.hexdigest()

    def stride(self, stride_s: float | None) -> int:
        """Number of samples between the starts of consecutive windows; None: the window length.

        Raises:
            ConfigError: The stride is shorter than a sample.
        """
        if stride_s is None:
            return self.window
        if not 0.5 < stride_s * self.sampling_rate < np.inf:  # up to half a sample rounds to 0
            raise ConfigError(
                f"stride_s={stride_s}: expected {1 / self.sampling_rate:g} s (one sample of the encoder) or more."
            )
        return samples_in(stride_s, self.sampling_rate)

    def embed(
        self, blocks: Iterable[Block], rate: float, stride_s: float | None = None, max_gap_s: float = MAX_GAP_S
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Embed a recording in blocks.

        Args:
            blocks: Blocks of the recording.
            rate: Sampling rate of the recording in Hz.
            stride_s: Seconds between the starts of consecutive windows; None: the window length.
            max_gap_s: Windows do not span longer gaps; shorter gaps are interpolated.

        Returns:
            Starts ``(k,)`` in seconds from the first sample, and embeddings ``(k, dim)`` float32.
        """
        return self.embed_pieces(pieces_of(blocks, rate, self.sampling_rate, max_gap_s), self.cutter(stride_s))

    def cutter(self, stride_s: float | None = None) -> WindowCutter:
        """Cutter of the encoder's windows; see :meth:`stride`."""
        return WindowCutter(self.sampling_rate, self.window, self.stride(stride_s))

    def embed_pieces(self, pieces: Iterable[Piece], cutter: WindowCutter) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Embed the next pieces of a recording.

        Args:
            pieces: Pieces at the sampling rate of the encoder.
            cutter: Cutter of the windows, the same for all pieces of a recording.

        Returns:
            See :meth:`embed`.

        Raises:
            DataError: An embedding is not finite.
        """
        cut = (windows for piece in pieces for windows in cutter.cut(piece))
        return ((starts, self._finite(starts, windows)) for starts, windows in cut)

    def _finite(self, starts: np.ndarray, windows: np.ndarray) -> np.ndarray:
        """Compute embeddings and check that all are finite.

        Raises:
            DataError: An embedding is not finite. The message names the first such window, and its largest sample.
        """
        embeddings = self._embed(windows)
        bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
        if len(bad):
            largest = np.abs(windows[bad[0]]).max()
            raise DataError(
                f"{len(bad)} of {len(windows)} windows have an embedding that is not finite. The first is at "
                f"{starts[bad[0]]:.2f} s, where samples reach {largest:.3g} g: remove such samples."
            )
        return embeddings

    def _embed(self, windows: np.ndarray) -> np.ndarray:
        while True:
            try:
                return embed_windows(self.encoder, windows, self.batch_size, self.device)
            except torch.OutOfMemoryError as error:
                if self.batch_size == 1:
                    raise ConfigError(f"{self.device} has no memory for one window; use device=cpu.") from error
                self.batch_size //= 2


def embed_recording(
    encoder: Embedder | str | Path, signal: np.ndarray, sampling_rate: float, stride_s: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute one embedding per window of a recording, which is resampled to the rate of the encoder.

    Samples with NaN are missing. Gaps of up to one second are interpolated; windows do not span longer gaps.

    Args:
        encoder: Checkpoint file, run folder, ``open-wrist-small``, or an :class:`Embedder` (to embed many recordings).
        signal: Signal ``(n, 3)`` in g, with gravity.
        sampling_rate: Sampling rate of the signal in Hz.
        stride_s: Seconds between the starts of consecutive windows; None: the window length.

    Returns:
        Starts ``(k,)`` in seconds from the first sample, and embeddings ``(k, dim)`` float32.

    Raises:
        ConfigError: There is no such checkpoint, or the stride is shorter than a sample.
        DataError: The shape, unit or rate is invalid, or no stretch without gaps is as long as a window.
    """
    if isinstance(encoder, nn.Module):
        raise ConfigError(
            "An encoder alone has no sampling rate: give its checkpoint, or Embedder(encoder, sampling_rate, window_s)."
        )
    embedder = encoder if isinstance(encoder, Embedder) else Embedder.load(encoder)
    signal = np.asarray(signal)
    if signal.ndim != 2 or signal.shape[1] != 3:
        raise DataError(f"Expected a signal (samples, 3), found {signal.shape}.")
    if not 0 < sampling_rate < np.inf:
        raise DataError(f"Expected a rate above 0 Hz, found {sampling_rate}.")
    check_unit(signal, "The signal")
    blocks = blocks_of(lambda first, last: signal[first:last], len(signal), sampling_rate)
    parts = list(embedder.embed(blocks, sampling_rate, stride_s))
    if not parts:
        raise too_short("The signal", embedder.window_s, MAX_GAP_S)
    starts, embeddings = zip(*parts, strict=True)
    return np.concatenate(starts), np.concatenate(embeddings)


def too_short(where: str, window_s: float, max_gap_s: float) -> DataError:
    """Create the error for a recording that is shorter than a window."""
    return DataError(f"{where} has no window: no {window_s:g} s are free of gaps longer than {max_gap_s:g} s.")


def _has_bfloat16(device: str) -> bool:
    if device == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return device.startswith("cuda") and torch.cuda.is_bf16_supported()


def find_device(name: str) -> str:
    """Return the name of a device that exists; ``auto`` becomes a GPU if there is one.

    Raises:
        ConfigError: There is no such device.
    """
    if not isinstance(name, str):
        raise ConfigError(f"device={name}: expected auto, cpu, cuda, or cuda:1.")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # AssertionError: this build of torch has no CUDA
        why = str(error).splitlines()[0].split(". ")[0].rstrip(".")
        raise ConfigError(f"device={name} cannot be used: {why}. Set auto, cpu, cuda, or cuda:1.") from error
    return name
