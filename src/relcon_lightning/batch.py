"""The batch that the datamodule gives to methods: anchors, and candidates of the same participants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(eq=False)  # not frozen: when Lightning changes the precision of a batch, it sets the fields of a copy
class CandidateBatch:
    """B anchors with c candidates each, in one tensor, so that an encoder reads it without a copy.

    ``batch["anchor"]`` is the same as ``batch.anchor``.

    Attributes:
        pool: Windows ``(B * (1 + c), 3, T)`` in g: all anchors, then the candidates of each anchor in turn.
        participant: Participant number ``(B,)`` of each anchor; its candidates are of the same participant.
        recording: Row ``(B, 1 + c)`` of each window's recording in the table of recordings, the anchor's first; None
            if it is not known.
        start: First sample ``(B, 1 + c)`` of each window in its recording; None if it is not known.
    """

    pool: Tensor
    participant: Tensor
    recording: Tensor | None = None
    start: Tensor | None = None

    @classmethod
    def of(
        cls,
        anchor: Tensor,
        candidates: Tensor | None = None,
        participant: Tensor | None = None,
        recording: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Self:
        """Join separate tensors to a batch.

        Args:
            anchor: Windows ``(B, 3, T)`` in g.
            candidates: Windows ``(B, c, 3, T)`` in g; None: no candidates.
            participant: Number ``(B,)`` of each anchor's participant; None: every anchor has a different one.
            recording: See :class:`CandidateBatch`.
            start: See :class:`CandidateBatch`.
        """
        pool = anchor if candidates is None else torch.cat([anchor, candidates.flatten(0, 1)])
        people = torch.arange(len(anchor), device=anchor.device) if participant is None else participant
        return cls(pool, people, recording, start)

    @property
    def anchor(self) -> Tensor:
        """Anchors ``(B, 3, T)``, a view of the pool."""
        return self.pool[: len(self)]

    @property
    def candidates(self) -> Tensor:
        """Candidates ``(B, c, 3, T)`` of each anchor, a view of the pool."""
        each = len(self.pool) // max(len(self), 1) - 1
        return self.pool[len(self) :].view(len(self), each, *self.pool.shape[1:])

    @property
    def windows(self) -> Tensor:
        """Anchor and candidates ``(B, 1 + c, 3, T)``, a copy."""
        return torch.cat([self.anchor[:, None], self.candidates], dim=1)

    @property
    def places(self) -> Tensor | None:
        """Recording and first sample ``(B, 1 + c, 2)`` of each window; None if they are not known."""
        if self.recording is None or self.start is None:
            return None
        return torch.stack([self.recording, self.start], dim=-1)

    def __len__(self) -> int:
        """Number B of anchors."""
        return len(self.participant)

    def __getitem__(self, name: str) -> Tensor:
        """The tensor of this name: ``anchor``, ``candidates``, ``participant``, ``recording`` or ``start``.

        Raises:
            KeyError: There is no such tensor, or it is not known.
        """
        try:
            return self.tensors()[name]
        except KeyError as error:
            raise KeyError(f"{name}; a batch has {', '.join(self.tensors())}") from error

    def tensors(self) -> dict[str, Tensor]:
        """Mapping from name to tensor, without the tensors that are not known."""
        known = {"anchor": self.anchor, "candidates": self.candidates, "participant": self.participant}
        places = {"recording": self.recording, "start": self.start}
        return known | {name: value for name, value in places.items() if value is not None}

    def to(self, device: torch.device | str) -> Self:
        """Copy to a device. Lightning calls it."""
        return self._changed(lambda x: x.to(device, non_blocking=x.is_pinned()))

    def pin_memory(self) -> Self:
        """Copy to pinned memory. The DataLoader calls it."""
        return self._changed(Tensor.pin_memory)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(value) for name, value in values.items() if value is not None})
