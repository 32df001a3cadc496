"""Whether weights fit a net, found without the memory that the net would take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registry

_SPARE_VALUES = 2**20  # beyond those of the weights: room for a net of another shape, whose difference is then named
_SPARE_TENSORS = 2**10


def check_fit(build: Callable[[], nn.Module], weights: Mapping[str, Tensor]) -> None:
    """Build a net without memory and compare the names and shapes of its tensors with those of the weights.

    Args:
        build: Makes the net. It is called on the meta device and stopped where the net outgrows its weights, so that a
            number in a file costs no more memory or time than the weights beside it do.
        weights: Name to tensor.

    Raises:
        ValueError: They do not fit, or the net cannot be built.
    """
    room = {
        "values": sum(w.numel() for w in weights.values()) + _SPARE_VALUES,
        "tensors": len(weights) + _SPARE_TENSORS,
    }

    def count(_: nn.Module, name: str, tensor: Any) -> None:
        room["tensors"] -= 1
        room["values"] -= tensor.numel() if isinstance(tensor, Tensor) else 0
        if min(room.values()) < 0:
            raise ValueError("it describes a much larger net")

    hooks = [
        registry.register_module_parameter_registration_hook(count),
        registry.register_module_buffer_registration_hook(count),
    ]
    try:
        with torch.device("meta"):
            net = build()
        if not isinstance(net, nn.Module):
            raise ValueError("it describes no net")
    except Exception as error:  # a constructor raises whatever wrong values lead it to
        raise ValueError(f"it cannot be built ({_cause(error)})") from error
    finally:
        for hook in hooks:
            hook.remove()
    _compare(net.state_dict(), weights)


def _compare(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    for name in sorted(expected.keys() ^ weights.keys()):
        raise ValueError(f"{name} is {'missing' if name in expected else 'not in the net'}")
    for name, tensor in expected.items():
        if tensor.shape != weights[name].shape:
            raise ValueError(
                f"size mismatch for {name}: {tuple(weights[name].shape)} in the file, {tuple(tensor.shape)} in the net"
            )


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0]
