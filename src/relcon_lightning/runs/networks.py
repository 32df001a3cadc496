"""Build networks from configurations in checkpoints, which may name only networks of this package."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from relcon_lightning import nets
from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.fit import check_fit
from relcon_lightning.runs.trust import is_trusted

_BUILDABLE = {f"relcon_lightning.nets.{name}" for name in nets.__all__}


def build(config: dict[str, Any]) -> Any:
    """Instantiate a configuration from a checkpoint, which may name only networks of this package.

    Raises:
        ConfigError: It names anything else, or could do so when it is resolved.
    """
    _refuse_foreign(config)
    return instantiate(config)


def seeded(config: dict[str, Any]) -> Callable[[int], nn.Module]:
    """Function from a seed to a network with the given configuration and random weights."""

    def make(seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net: nn.Module = build(config)
        return net

    return make


def restored(config: dict[str, Any], weights: Mapping[str, Tensor], path: str | Path) -> nn.Module:
    """A network with the given configuration and weights, in evaluation mode.

    Args:
        config: Configuration of the network.
        weights: Mapping from name to tensor.
        path: Checkpoint that they are from, for errors.

    Raises:
        ConfigError: See :func:`build`; or the weights do not fit or are not finite.
    """
    refuse_unfit(config, weights, path)
    bad = next((name for name, value in weights.items() if not value.isfinite().all()), None)
    if bad is not None:
        raise ConfigError(f"The weights in {path} are damaged: {bad} is not finite. Give another checkpoint.")
    net: nn.Module = build(config)
    net.load_state_dict(dict(weights))
    return net.eval()


def refuse_unfit(config: dict[str, Any], weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Compare weights with a configuration, before memory is allocated for the network.

    Raises:
        ConfigError: See :func:`restored`.
    """
    _refuse_foreign(config)
    try:
        check_fit(partial(instantiate, config), weights)
    except ValueError as error:
        raise ConfigError(
            f"The weights in {path} do not fit its configuration: {error}. The file was changed: get a new copy, or "
            "give another checkpoint."
        ) from error


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _refuse_foreign(config: Any) -> None:
    """Allow only plain values without interpolations, which could turn text into a ``_target_``."""
    if isinstance(config, dict):
        target = config.get("_target_")
        if target is not None and str(target) not in _BUILDABLE and not is_trusted(str(target)):
            raise ConfigError(
                f"The checkpoint's configuration names {target!r}; only relcon_lightning.nets are built. A network of "
                "your own package is built if you name the package: trust=[mypackage]. Its code then runs."
            )
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            _refuse_foreign(value)
    elif not isinstance(config, str | int | float | None) or "${" in str(config):
        raise ConfigError(f"The checkpoint's configuration holds {config!r}; expected plain values.")
