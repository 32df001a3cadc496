"""Which windows make a batch: anchors of random participants, candidates of the same participant at other times.

A draw depends on the seed, the step and the rank alone, never on workers, epochs or what was drawn before. So a run
resumed at step k draws what it would have drawn, and any number of workers gives the same batches. A draw costs the
same whatever the size of the cohort.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from relcon_lightning.errors import ConfigError, DataError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Draw:
    """The windows of one batch.

    Attributes:
        participants: ``(B,)`` indices into :attr:`CandidateSampler.participants`.
        recordings: ``(B, 1 + c)`` row numbers of the store's recordings: the anchor's, then its candidates'.
        starts: ``(B, 1 + c)`` first samples.
    """

    participants: np.ndarray
    recordings: np.ndarray
    starts: np.ndarray


class CandidateSampler:
    """Draws anchors and ``c`` candidates each from the recordings of some participants.

    A participant's possible window starts, over all of its recordings, form one line of integers. A candidate is a
    uniform draw from that line with the starts that overlap its anchor cut out. Anchors of one participant in one
    batch never overlap each other either, because other anchors of a batch are candidates too.

    Args:
        recordings: The store's recordings table (``participant_id``, ``n_samples``).
        participants: Ids to draw from.
        window: Samples of a window.
        n_candidates: c, candidates an anchor.
        batch_size: Anchors a batch, B.
        participants_per_batch: Participants in a batch, with ``B / participants_per_batch`` anchors each. None draws
            each anchor's participant independently.
        seed: Seed of all draws.
        weights: Numbers that participants are drawn in proportion to; None: all alike.

    Raises:
        DataError: When no participant has enough windows, or too few have a weight above 0.
        ConfigError: When the batch cannot be divided over the participants.
    """

    def __init__(
        self,
        recordings: pd.DataFrame,
        participants: Collection[str],
        window: int,
        n_candidates: int,
        batch_size: int,
        participants_per_batch: int | None = None,
        seed: int = 0,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.window, self.n_candidates, self.batch_size, self.seed = window, n_candidates, batch_size, seed
        self.participants_per_batch = participants_per_batch
        rows = np.flatnonzero(
            recordings["participant_id"].isin(list(participants)) & (recordings["n_samples"] >= window)
        )
        ids = recordings["participant_id"].to_numpy()[rows]
        samples = recordings["n_samples"].to_numpy()[rows]
        needed = max(n_candidates + 1, self._anchors_each())
        codes, names = pd.factorize(ids, sort=True)
        enough = np.bincount(codes, samples // window, len(names)) >= needed
        if n_candidates:  # an anchor bars up to 2 T - 1 starts; wherever it lies, one must be left
            enough &= np.bincount(codes, samples - window + 1, len(names)) >= 2 * window
        self._report_excluded(participants, names, enough, needed)
        keep = enough[codes]
        order = np.argsort(codes[keep], kind="stable")
        codes, self._rows, samples = codes[keep][order], rows[keep][order], samples[keep][order]
        self.participants = [str(name) for name in names[enough]]
        self._first = np.searchsorted(codes, np.flatnonzero(enough))
        self._last = np.append(self._first[1:], len(codes))
        self._samples = samples
        # Start s of recording r is the integer line[r] + s of the line of all participants, one after the other.
        self._line = np.append(0, np.cumsum(samples - window + 1))
        self._chances = None if weights is None else self._shares(weights)
        self._check_batch()

    @property
    def people_per_batch(self) -> int:
        """The most participants that a batch can hold."""
        return self.participants_per_batch or min(self.batch_size, len(self.participants))

    def draw(self, step: int, rank: int = 0, world_size: int = 1) -> Draw:
        """The batch of ``rank`` at ``step``: its rows of the one batch that all ranks share."""
        rng = np.random.default_rng([self.seed, step])
        who = self._choose_participants(rng, self.batch_size * world_size)
        anchors = self._anchors(rng, who)
        candidates = self._candidates(rng, who, anchors)
        mine = slice(rank * self.batch_size, (rank + 1) * self.batch_size)
        line = np.concatenate([anchors[:, None], candidates], axis=1)[mine]
        recording = np.searchsorted(self._line, line, side="right") - 1
        return Draw(who[mine], self._rows[recording], line - self._line[recording])

    def _anchors_each(self) -> int:
        return self.batch_size // self.participants_per_batch if self.participants_per_batch else 1

    def _check_batch(self) -> None:
        count = self.participants_per_batch
        if count is None:
            return
        if self.batch_size % count:
            raise ConfigError(
                f"data.batch_size={self.batch_size} cannot be divided over data.participants_per_batch={count}."
            )
        if count > len(self.participants):
            raise ConfigError(
                f"data.participants_per_batch={count} but only {len(self.participants)} participants can be drawn; "
                "lower it."
            )

    def _shares(self, weights: Mapping[str, float]) -> np.ndarray:
        """Chance of each participant, ``(participants,)``."""
        found = np.array([weights[name] for name in self.participants], dtype=np.float64)
        if not (np.isfinite(found) & (found >= 0)).all() or (found > 0).sum() < (self.participants_per_batch or 1):
            raise DataError(
                "People cannot be drawn in proportion to data.weights: expected numbers of 0 or more, above 0 for "
                f"at least {self.participants_per_batch or 1} of {len(found)}; set data.weights=null."
            )
        share: np.ndarray = found / found.sum()
        return share

    def _report_excluded(self, asked: Collection[str], names: np.ndarray, enough: np.ndarray, needed: int) -> None:
        excluded = sorted(set(asked) - set(names[enough]))
        what = f"fewer than {needed} windows of {self.window} samples in recordings that are long enough"
        if not enough.any():
            raise DataError(
                f"None of the {len(excluded)} participants can be drawn: each has {what}, e.g. {excluded[:3]}. "
                "Record longer, or lower data.n_candidates or data.window_s."
            )
        if excluded:
            log.warning("Left out %d of %d participants with %s: %s", len(excluded), len(asked), what, excluded[:10])

    def _choose_participants(self, rng: np.random.Generator, count: int) -> np.ndarray:
        if self.participants_per_batch is None:
            if self._chances is None:
                return rng.integers(len(self.participants), size=count)
            return rng.choice(len(self.participants), count, p=self._chances)
        each = self._anchors_each()
        batches = [
            rng.choice(len(self.participants), self.participants_per_batch, replace=False, p=self._chances)
            for _ in range(count // self.batch_size)
        ]
        return np.repeat(np.concatenate(batches), each)

    def _anchors(self, rng: np.random.Generator, who: np.ndarray) -> np.ndarray:
        """``(B,)`` places on the line; those of one participant do not overlap."""
        participants, which, counts = np.unique(who, return_inverse=True, return_counts=True)
        places = np.empty(len(who), dtype=np.int64)
        alone = counts[which] == 1  # nearly all, in a large cohort
        places[alone] = rng.integers(self._line[self._first[who[alone]]], self._line[self._last[who[alone]]])
        for i in np.flatnonzero(counts > 1):
            places[which == i] = self._apart(rng, participants[i], counts[i])
        return places

    def _apart(self, rng: np.random.Generator, participant: int, count: int) -> np.ndarray:
        """``(count,)`` starts on a participant's line, at random offsets, that do not overlap where there is room."""
        first, last = self._first[participant], self._last[participant]
        samples = self._samples[first:last]
        offset = rng.integers(0, np.minimum(self.window, samples - self.window + 1))
        slots = (samples - offset) // self.window
        total = slots.sum()
        # More anchors than the participant has room for: some windows come twice, which only a tiny cohort sees.
        slot = rng.choice(total, count, replace=bool(count > total))
        recording = np.searchsorted(np.cumsum(slots), slot, side="right")
        within = slot - (np.cumsum(slots) - slots)[recording]
        places: np.ndarray = self._line[first + recording] + offset[recording] + within * self.window
        return places

    def _candidates(self, rng: np.random.Generator, who: np.ndarray, anchors: np.ndarray) -> np.ndarray:
        """``(B, c)`` places on the line, of the anchor's participant, that do not overlap the anchor."""
        recording = np.searchsorted(self._line, anchors, side="right") - 1
        low = np.maximum(anchors - self.window + 1, self._line[recording])
        high = np.minimum(anchors + self.window, self._line[recording + 1])
        begin, end = self._line[self._first[who]], self._line[self._last[who]]
        free = (end - begin) - (high - low)
        places = begin[:, None] + rng.integers(0, free[:, None], size=(len(who), self.n_candidates))
        apart: np.ndarray = np.where(places >= low[:, None], places + (high - low)[:, None], places)
        return apart
