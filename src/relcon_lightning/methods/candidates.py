"""Anchors and their candidates, compared by embedding and by a frozen distance; shared by RelCon and REBAR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from relcon_lightning.augment import Augmentation, RandomAugmentations
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import ConfigError, positive, whole
from relcon_lightning.losses import cosine_similarities, cross_similarities
from relcon_lightning.methods.base import EmbeddingMethod
from relcon_lightning.methods.distributed import gather, rank
from relcon_lightning.nets.base import WindowDistance, as_distance
from relcon_lightning.nets.heads import mlp

_ONE_PERSON = (
    "model.within_user=false compares each anchor with windows of other participants, but a batch has only one "
    "participant: set data.participants_per_batch to 2 or more (or null), and data.ratios so that training and "
    "validation have 2 participants or more."
)


class RankedCandidates(NamedTuple):
    """Comparisons of anchors with their candidates: tensors ``(B, C)``, or ``(2B, C)`` with two views.

    Attributes:
        similarities: Cosines of the embeddings.
        distances: Distances given by the frozen motif distance.
        mask: True for candidates that count; an anchor is not its own candidate.
        within: True for candidates that count and are of the anchor's participant.
    """

    similarities: Tensor
    distances: Tensor
    mask: Tensor
    within: Tensor


class CandidateMethod(EmbeddingMethod):
    """Base class of methods that rank candidates of the same participant and of the batch.

    The distance is frozen: it stays in evaluation mode, gets no gradient, and is not passed to the optimizer.

    Args:
        encoder: Network to train, from windows ``(B, 3, T)`` to embeddings ``(B, dim)``.
        distance: Trained motif distance, or another distance that ranks candidates.
        temperature: Temperature tau.
        within_user: True: windows of the anchor's participant at other times are candidates. False (Table 5):
            candidates are an augmented copy of the anchor (with two views, the other view) and windows of others.
        batch_candidates: Also use the other anchors of the batch as candidates.
        gather: Also use windows on other ranks as candidates. The loss is then that of one large batch. Batch
            normalisation still uses the windows of each rank alone, unless ``trainer.sync_batchnorm`` is set.
        pairs: Number of other windows in the batch that are candidates of an anchor, drawn at random; None: all. Time
            and memory for distances grow with it.
        augmentation: Augmentation that creates the copy of the anchor if ``within_user`` is False.
        view: Augmentation of the windows before they are embedded. Distances are still those of the original windows.
            None (as in the paper): windows are embedded as recorded.
        views: Number of augmented views per anchor, 1 or 2. With two, each view is an anchor, all other views of the
            batch are its candidates, and the other view of the same window is at distance 0. Not in the paper.
        neighbours: The only candidate of each anchor, which ``data.within_s`` draws near it in time, becomes an anchor
            too; each of the two is at distance 0 of the other. Their distances to all others are those of the distance.
            Not in the paper.
        projection: Widths of the linear layers of a projection head between the embedding and the loss, which is
            discarded after training. None (as in the paper): no head.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.base.Method`.
    """

    def __init__(
        self,
        encoder: nn.Module,
        distance: WindowDistance,
        temperature: float = 1.0,
        within_user: bool = True,
        batch_candidates: bool = True,
        gather: bool = False,
        pairs: int | None = None,
        augmentation: Augmentation | None = None,
        view: Augmentation | None = None,
        views: int = 1,
        neighbours: bool = False,
        projection: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, **kwargs)
        self.distance = as_distance(distance).requires_grad_(False).eval()
        self.temperature = positive("temperature", temperature)
        self.within_user, self.batch_candidates = within_user, batch_candidates
        if not within_user:
            self.stages_with_candidates = ("val",)  # for the monitor of distances
        self.gather, self.pairs = gather, None if pairs is None else whole("model.pairs", pairs)
        self.augmentation = augmentation or RandomAugmentations()
        if views not in (1, 2):
            raise ConfigError(f"model.views={views}: expected 1 or 2.")
        if views == 2 and view is None:
            raise ConfigError(
                "model.views=2 needs an augmentation that creates the views: set view, as preset=laptop does."
            )
        if not (within_user or batch_candidates):
            raise ConfigError(
                "model.within_user=false compares each anchor with windows of other participants in its batch: set "
                "model.batch_candidates=true."
            )
        if neighbours and (views == 2 or not (within_user and batch_candidates)):
            raise ConfigError(
                "model.neighbours=true pairs each anchor with a window near it in time: set model.views=1, "
                "model.within_user=true and model.batch_candidates=true."
            )
        self.view, self.views, self.neighbours = view, views, neighbours
        self.head = mlp([self.dim, *projection]) if projection else nn.Identity()

    def train(self, mode: bool = True) -> CandidateMethod:
        """Set the training mode of all parts except the distance, because dropout would change its ranking."""
        super().train(mode)
        self.distance.eval()
        return self

    def on_fit_start(self) -> None:
        """Refuse a cohort whose batches cannot contain the required candidates, before the first step.

        Raises:
            ConfigError: ``within_user`` is False, and training or validation has only one participant; or
                ``neighbours`` is True, and anchors do not have one candidate each, drawn near them in time.
        """
        data = getattr(self.trainer, "datamodule", None)
        if self.neighbours and data is not None:
            _check_count(getattr(data, "n_candidates", 1))
            if getattr(data, "within", 0) is None:
                raise ConfigError(
                    "model.neighbours=true needs data.within_s: the largest time in seconds between a window and its "
                    "neighbour, e.g. data.within_s=51.2."
                )
        samplers = [getattr(data, name, None) for name in ("train_sampler", "val_sampler")]
        together = self.gather and self.trainer.world_size > 1
        for sampler in samplers:
            if sampler is not None and not (self.within_user or together) and sampler.people_per_batch < 2:
                raise ConfigError(_ONE_PERSON)

    def rank(self, batch: CandidateBatch, generator: torch.Generator) -> RankedCandidates:
        """Similarities and frozen distances of each anchor and its candidates; two views give 2B anchors.

        A candidate that overlaps its anchor in time does not count. In batches without ``recording`` and ``start``,
        windows are assumed not to overlap.

        Raises:
            ConfigError: There are no candidates, or ``within_user`` is False and the batch has only one participant; or
                anchors do not have one candidate each, which ``neighbours`` needs.
        """
        if self.neighbours:
            batch = _pairs(batch)
        ranked = batch if self.within_user else self._with_copies(batch, generator)
        anchor, candidates, apart = ranked.anchor, ranked.candidates, ~_overlaps_of_candidates(ranked)
        z, z_candidates = self._embed(ranked, generator)
        blocks = []
        if candidates.shape[1]:
            similarities = torch.cat([cosine_similarities(view, z_candidates) for view in z])
            distances = self._frozen(self.distance.pairwise, anchor, candidates).repeat(self.views, 1)
            counts = apart.repeat(self.views, 1)
            blocks.append((similarities, distances, counts, counts))
        if self.batch_candidates:
            blocks += self._batch_block(batch, z, generator)
        if not blocks:
            raise ConfigError("There are no candidates: set data.n_candidates above 0 or model.batch_candidates=true.")
        return RankedCandidates(*(torch.cat(parts, dim=1) for parts in zip(*blocks, strict=True)))

    def _with_copies(self, batch: CandidateBatch, generator: torch.Generator) -> CandidateBatch:
        """The anchors with an augmented copy each; with two views, the other view is the copy."""
        copies = self.augmentation(batch.anchor, generator)[:, None] if self.views == 1 else None
        return CandidateBatch.of(batch.anchor, copies, batch.participant)

    def _batch_block(
        self, batch: CandidateBatch, z: Tensor, generator: torch.Generator
    ) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Compare each view ``(V, B, E)`` with the other views of the batch, of all ranks, or of a random subset.

        Another view of the anchor's own window is at distance 0. The result is empty if there is only one window.
        """
        anchor, person, place = batch.anchor, batch.participant, _places(batch)
        windows, z_windows, people, places, first = anchor, z, person, place, 0
        if self.gather:
            windows, people, places = gather(anchor), gather(person), gather(place)
            z_windows = gather(z.transpose(0, 1)).transpose(0, 1)
            first = rank() * len(anchor)
        same_person = person[:, None] == people
        if not self.within_user and same_person.all():
            raise ConfigError(_ONE_PERSON)
        if len(windows) == 1 and self.views == 1:
            return []
        own = torch.arange(first, first + len(anchor), device=anchor.device)[:, None]
        nearest = own.roll(len(own) // 2, 0) if self.neighbours else own  # the other window of the pair
        barred = _overlap(place[:, None], places, anchor.shape[-1])
        barred = barred if self.within_user else barred | same_person
        barred = barred.scatter(1, own, False).scatter(1, nearest, False)
        columns = self._columns(own, nearest, barred, generator)
        if columns is None:
            columns = torch.arange(len(windows), device=anchor.device).expand(len(anchor), -1)
            distances = self._frozen(self.distance.between, anchor, windows)
        else:
            distances = self._frozen(self.distance.to_some, anchor, windows, columns)
        itself = columns == own
        if self._paired:
            distances = distances.masked_fill(columns == nearest, 0)
        shape = (self.views, len(anchor), self.views, -1)
        similarities = cross_similarities(z.flatten(0, 1), z_windows.flatten(0, 1)).view(shape)
        similarities = similarities.gather(3, columns[None, :, None].expand(shape))
        same_view = torch.eye(self.views, dtype=torch.bool, device=anchor.device)
        counts = ~(itself[None, :, None] & same_view[:, None, :, None]) & ~barred.gather(1, columns)[None, :, None]
        within = counts & same_person.gather(1, columns)[None, :, None]
        spread = distances[None, :, None].expand_as(similarities)
        return [tuple(part.flatten(2).flatten(0, 1) for part in (similarities, spread, counts, within))]  # type: ignore[list-item]

    def _columns(self, own: Tensor, nearest: Tensor, barred: Tensor, generator: torch.Generator) -> Tensor | None:
        """Columns ``(B, K)`` of random candidates; None: all windows.

        With two views or neighbours, the ``nearest`` ``(B, 1)`` comes first. Windows that are ``barred`` ``(B, N)`` are
        drawn only if there are too few others.
        """
        if self.pairs is None or self.pairs >= barred.shape[1] - 1:
            return None
        chance = torch.rand(barred.shape, generator=generator, device=own.device) + barred
        some = chance.scatter_(1, nearest, 3).scatter_(1, own, 4).argsort(1)[:, : self.pairs]
        return torch.cat([nearest, some], dim=1) if self._paired else some

    @property
    def _paired(self) -> bool:
        """Whether each anchor has a candidate at distance 0: its other view, or its neighbour."""
        return self.views > 1 or self.neighbours

    def _embed(self, batch: CandidateBatch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Embed views of the anchors ``(V, B, E)`` and candidates ``(B, c, E)`` in one pass of the encoder."""
        n, viewed = len(batch), self._viewed(batch.pool, generator)
        if self.views > 1:
            viewed = torch.cat([viewed, *(self._viewed(batch.anchor, generator) for _ in range(1, self.views))])
        z = self.head(self.encoder(viewed))
        first, own, others = z.split([n, len(batch.pool) - n, len(z) - len(batch.pool)])
        views = torch.stack([first, *others.split(n)]) if self.views > 1 else first[None]
        return views, own.unflatten(0, batch.candidates.shape[:2])

    def _viewed(self, windows: Tensor, generator: torch.Generator) -> Tensor:
        return windows if self.view is None else self.view(windows, generator)

    @staticmethod
    @torch.no_grad()
    def _frozen(distance: Callable[..., Tensor], *windows: Tensor) -> Tensor:
        return distance(*windows)


def _check_count(candidates: int) -> None:
    if candidates != 1:
        raise ConfigError(
            f"model.neighbours=true needs one candidate per anchor, not {candidates}: set data.n_candidates=1, and "
            "data.within_s to the seconds between the two."
        )


def _pairs(batch: CandidateBatch) -> CandidateBatch:
    """The anchors and, after them, the only candidate of each; all are anchors without candidates."""
    _check_count(batch.candidates.shape[1])
    places = (None if of is None else of.T.reshape(-1, 1) for of in (batch.recording, batch.start))
    return CandidateBatch(batch.pool, batch.participant.repeat(2), *places)


def _places(batch: CandidateBatch) -> Tensor:
    """Recording and first sample ``(B, 2)`` of the anchors; each window of unknown place counts as a recording."""
    if (places := batch.places) is not None:
        return places[:, 0]
    numbers = torch.arange(len(batch), device=batch.anchor.device) + rank() * len(batch)
    return torch.stack([numbers, torch.zeros_like(numbers)], dim=-1)


def _overlaps_of_candidates(batch: CandidateBatch) -> Tensor:
    """Mask ``(B, c)``, True where a candidate overlaps its anchor."""
    if (places := batch.places) is None:
        return torch.zeros(batch.candidates.shape[:2], dtype=torch.bool, device=batch.anchor.device)
    return _overlap(places[:, :1], places[:, 1:], batch.anchor.shape[-1])


def _overlap(places: Tensor, others: Tensor, window: int) -> Tensor:
    """True where windows of ``window`` samples overlap; places ``(..., 2)`` are recording and first sample."""
    gap = (places - others).abs()
    return (gap[..., 0] == 0) & (gap[..., 1] < window)
