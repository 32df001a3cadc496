"""Cache of embeddings, with the hash of the encoder and of the windows as the key.

The files are in the user's cache folder (or in ``$RELCON_CACHE``) and take up to :data:`ROOM_BYTES` there. Beyond that,
the least recently used ones are removed.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from relcon_lightning import nets
from relcon_lightning.embed.windows import embed_windows
from relcon_lightning.runs.networks import weights_hash
from relcon_lightning.user_cache import cache_folder
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)

ROOM_BYTES = 2 * 2**30
_LAYOUT = 1  # increase it when the same key would give different numbers


def embed_cached(
    encoder: nn.Module,
    signal: np.ndarray,
    device: str = "cpu",
    description: str | None = None,
    adapt: Callable[[nn.Module, np.ndarray], None] | None = None,
) -> np.ndarray:
    """:func:`~relcon_lightning.embed.windows.embed_windows`, computed once for an encoder, windows and device.

    Args:
        encoder: Network from windows ``(B, 3, T)`` to embeddings ``(B, dim)``.
        signal: Windows ``(N, 3, T)`` in g.
        device: Device to compute on.
        description: Text of the progress bar; None: no bar.
        adapt: Function that adapts the encoder to the windows before it embeds them; None: no adaptation.

    Returns:
        Embeddings ``(N, dim)``, float32.
    """
    file = cache_folder("embeddings") / f"{_key(encoder, signal, device, adapt)}.npy" if _is_own(encoder) else None
    if file is not None and (found := _read(file, len(signal))) is not None:
        log.info("Embeddings of %s were computed before (%s).", counted(len(found), "window"), description or "cached")
        return found
    if adapt is not None:
        adapt(encoder, signal)
    embeddings = embed_windows(encoder, signal, device=device, description=description)
    if file is not None:
        _keep(file, embeddings)
    return embeddings


def _is_own(encoder: nn.Module) -> bool:
    """True if the network is of this package: its text form, weights and code then determine its output."""
    modules = {type(module).__module__.split(".")[0] for module in encoder.modules()}
    return modules <= {"torch", nets.__name__.split(".")[0]} and type(encoder).__module__.startswith(nets.__name__)


@cache
def _code() -> str:
    """SHA-256 of the code of the networks."""
    digest = hashlib.sha256()
    for file in sorted(Path(nets.__path__[0]).glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _key(
    encoder: nn.Module, signal: np.ndarray, device: str, adapt: Callable[[nn.Module, np.ndarray], None] | None
) -> str:
    kind = torch.cuda.get_device_name(device) if device.startswith("cuda") else torch.backends.cpu.get_cpu_capability()
    how = f"{_LAYOUT} {torch.__version__} {_code()} {device} {kind} {getattr(adapt, '__name__', '')}"
    digest = hashlib.sha256(f"{how} {encoder} {signal.shape} {signal.dtype} ".encode())
    digest.update(weights_hash(encoder.state_dict()).encode())
    digest.update(np.ascontiguousarray(signal).data)
    return digest.hexdigest()


def _read(file: Path, rows: int) -> np.ndarray | None:
    try:
        found: np.ndarray = np.load(file)
        os.utime(file)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.ndim == 2 and len(found) == rows and found.dtype == np.float32 else None


def _keep(file: Path, embeddings: np.ndarray) -> None:
    """Write a file atomically; without space or permission, skip it."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as target:
            np.save(target, embeddings)
        part.replace(file)
        _make_room(file.parent)
    except OSError as error:
        log.debug("%s cannot be written: %s", file, error)
    finally:
        with suppress(OSError):
            part.unlink()


def _make_room(folder: Path) -> None:
    files = sorted(
        ((file.stat().st_mtime_ns, file.stat().st_size, file) for file in folder.glob("*.npy")), reverse=True
    )
    used = 0
    for _, size, file in files:
        used += size
        if used > ROOM_BYTES:
            file.unlink(missing_ok=True)
