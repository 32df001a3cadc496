"""Interfaces of encoders and distances, which classes of other packages may implement too."""

from __future__ import annotations

from typing import Protocol, Self, TypeGuard

from torch import Tensor, nn

from relcon_lightning.errors import ConfigError
from relcon_lightning.wording import counted


class Encoder(Protocol):
    """A network from windows ``(B, 3, T)`` in g to embeddings ``(B, dim)``.

    Attributes:
        dim: Size of the embedding.
    """

    dim: int

    def __call__(self, x: Tensor, /) -> Tensor:
        """Embeddings ``(B, dim)`` of windows ``(B, 3, T)``."""


class WindowDistance(Protocol):
    """A network that measures distances between windows ``(..., 3, T)`` in g.

    Attributes:
        unit: Unit of the distances; empty if they have none.
    """

    unit: str

    def pairwise(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """Distances ``(B, C)`` of anchors ``(B, 3, T)`` to their own candidates ``(B, C, 3, T)``."""

    def in_batch(self, anchors: Tensor) -> Tensor:
        """Distances ``(B, B)`` between windows ``(B, 3, T)``: one row per anchor, one column per candidate."""

    def between(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """Distances ``(A, N)`` of each anchor ``(A, 3, T)`` to each candidate ``(N, 3, T)``."""

    def to_some(self, anchors: Tensor, candidates: Tensor, columns: Tensor) -> Tensor:
        """Distances ``(A, K)`` of each anchor to the candidates that its row of ``columns`` ``(A, K)`` selects."""

    def eval(self) -> Self:
        """See :meth:`torch.nn.Module.eval`."""

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """See :meth:`torch.nn.Module.requires_grad_`."""


_OF_ENCODERS = ("dim",)
_OF_DISTANCES = ("unit", "pairwise", "in_batch", "between", "to_some", "eval", "requires_grad_")


def is_encoder(net: object) -> TypeGuard[Encoder]:
    """True if a network has all members of :class:`Encoder`."""
    return not _missing(net, _OF_ENCODERS)


def is_distance(net: object) -> TypeGuard[WindowDistance]:
    """True if a network has all members of :class:`WindowDistance`."""
    return not _missing(net, _OF_DISTANCES)


def as_encoder(net: nn.Module) -> Encoder:
    """Return the network if it is an encoder.

    Raises:
        ConfigError: The network is not an encoder. The message names the missing members.
    """
    if not is_encoder(net):
        raise ConfigError(
            f"{type(net).__name__} cannot be an encoder: it has no attribute dim, the size of its embedding."
        )
    return net


def as_distance(net: WindowDistance) -> WindowDistance:
    """Return the network if it is a distance between windows.

    Raises:
        ConfigError: The network is not such a distance. The message names the missing members.
    """
    if missing := _missing(net, _OF_DISTANCES):
        raise ConfigError(
            f"{type(net).__name__} cannot be a distance between windows: it has no {', '.join(missing)}. See "
            "relcon_lightning.nets.base.WindowDistance."
        )
    return net


def check_length(x: Tensor, shortest: int) -> None:
    """Refuse windows ``(B, 3, T)`` with fewer samples than an encoder needs.

    Raises:
        ConfigError: The windows are too short.
    """
    if x.shape[-1] < shortest:
        raise ConfigError(
            f"Windows of {counted(x.shape[-1], 'sample')}: this encoder needs {shortest} samples or more."
        )


def _missing(net: object, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if not hasattr(net, name)]  # not isinstance: it overlooks nn.Module.__getattr__
