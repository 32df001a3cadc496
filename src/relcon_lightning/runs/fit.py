"""Check that weights fit a network, without allocating the memory of the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registry

_SPARE_VALUES = 2**20  # additional tensors, so that the differences of a network of another shape can be named
_SPARE_TENSORS = 2**10


def check_fit(build: Callable[[], nn.Module], weights: Mapping[str, Tensor]) -> None:
    """Build a network on the meta device, and compare names and shapes of its tensors with those of the weights.

    Args:
        build: Function that builds the network. It is stopped if the network has more values than the weights, so that
            a number in a file cannot cost more memory or time than the weights next to it.
        weights: Mapping from name to tensor.

    Raises:
        ValueError: The weights do not fit, or the network cannot be built.
    """
    room = {
        "values": sum(w.numel() for w in weights.values()) + _SPARE_VALUES,
        "tensors": len(weights) + _SPARE_TENSORS,
    }

    def count(_: nn.Module, name: str, tensor: Any) -> None:
        room["tensors"] -= 1
        room["values"] -= tensor.numel() if isinstance(tensor, Tensor) else 0
        if min(room.values()) < 0:
            raise ValueError("it describes a much larger network")

    hooks = [
        registry.register_module_parameter_registration_hook(count),
        registry.register_module_buffer_registration_hook(count),
    ]
    try:
        with torch.device("meta"):
            net = build()
        if not isinstance(net, nn.Module):
            raise ValueError("it does not describe a network")
    except Exception as error:  # with invalid values, a constructor can raise any error
        raise ValueError(f"it cannot be built ({_cause(error)})") from error
    finally:
        for hook in hooks:
            hook.remove()
    compare(net.state_dict(), weights)


def compare(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Compare the names and shapes of the tensors of a network with those of weights.

    Raises:
        ValueError: They differ. The message names the first difference.
    """
    for name in sorted(expected.keys() ^ weights.keys()):
        raise ValueError(f"{name} is {'missing' if name in expected else 'not in the network'}")
    for name, tensor in expected.items():
        if tensor.shape != weights[name].shape:
            raise ValueError(
                f"size mismatch for {name}: {tuple(weights[name].shape)} in the file, {tuple(tensor.shape)} in the net"
            )


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0]
