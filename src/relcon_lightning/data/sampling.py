"""Draw the windows of a batch: anchors of random participants, and candidates of the same participants.

A draw depends only on the seed, the step and the rank, not on workers, epochs or earlier draws. A run that resumes at
step k therefore draws the same batches as an uninterrupted one, and any number of workers gives the same batches. The
cost of a draw does not depend on the size of the cohort.
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
        participants: Indices ``(B,)`` into ``CandidateSampler.participants``.
        recordings: Rows ``(B, 1 + c)`` in the store's recordings: the anchor's, then those of its candidates.
        starts: First samples ``(B, 1 + c)``.
    """

    participants: np.ndarray
    recordings: np.ndarray
    starts: np.ndarray


class CandidateSampler:
    """Draws anchors, and ``c`` candidates per anchor, from the recordings of some participants.

    The possible window starts of a participant, over all recordings, form one line of integers. A candidate is a
    uniform draw from this line without the starts that overlap its anchor. Anchors of one participant in a batch do not
    overlap each other either, because the other anchors of a batch are also candidates.

    Args:
        recordings: The store's table of recordings (``participant_id``, ``n_samples``).
        participants: Ids to draw from.
        window: Number of samples of a window.
        n_candidates: Number c of candidates per anchor.
        batch_size: Number B of anchors per batch.
        participants_per_batch: Number of participants in a batch, each with ``B / participants_per_batch`` anchors.
            None: the participant of each anchor is drawn independently.
        seed: Seed of all draws.
        weights: Participants are drawn in proportion to these numbers; None: with equal probability.
        within: Candidates are in the recording of their anchor and start at most this many samples from it. They do not
            overlap it if the recording is long enough; else they are as far from it as possible. None: candidates are
            from all recordings of the participant.

    Raises:
        DataError: No participant has enough windows, or too few have a weight above 0.
        ConfigError: ``batch_size`` is not a multiple of ``participants_per_batch``, or ``within`` is shorter than a
            window.
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
        within: int | None = None,
    ) -> None:
        if within is not None and within < window:
            raise ConfigError(
                f"data.within_s allows {within} samples between a candidate and its anchor, but a window has {window}: "
                "they would overlap. Raise data.within_s."
            )
        longest = int(recordings["n_samples"].max()) if len(recordings) else 0
        self.within = None if within is None else min(within, longest)
        self.window, self.n_candidates, self.batch_size, self.seed = window, n_candidates, batch_size, seed
        self.participants_per_batch = participants_per_batch
        self._place(recordings, participants)
        if within is not None:
            self._report_short()
        self._chances = None if weights is None else self._shares(weights)
        self._check_batch()

    @property
    def people_per_batch(self) -> int:
        """Largest number of participants in a batch."""
        return self.participants_per_batch or min(self.batch_size, len(self.participants))

    def draw(self, step: int, rank: int = 0, world_size: int = 1, with_candidates: bool = True) -> Draw:
        """Draw the batch of ``rank`` at ``step``: its rows of the batch of all ranks.

        Args:
            step: Number of the batch.
            rank: Rank of this process.
            world_size: Number of processes.
            with_candidates: False: c is 0. The anchors are the same.
        """
        rng = np.random.default_rng([self.seed, step])
        who = self._choose_participants(rng, self.batch_size * world_size)
        anchors = self._anchors(rng, who)
        drawn = [anchors[:, None], *([self._candidates(rng, who, anchors)] if with_candidates else [])]
        mine = slice(rank * self.batch_size, (rank + 1) * self.batch_size)
        line = np.concatenate(drawn, axis=1)[mine]
        recording = np.searchsorted(self._line, line, side="right") - 1
        return Draw(who[mine], self._rows[recording], line - self._line[recording])

    def _place(self, recordings: pd.DataFrame, participants: Collection[str]) -> None:
        """Place the window starts of all participants who have enough windows on the line."""
        rows = np.flatnonzero(
            recordings["participant_id"].isin(list(participants)) & (recordings["n_samples"] >= self.window)
        )
        samples = recordings["n_samples"].to_numpy()[rows]
        codes, names = pd.factorize(recordings["participant_id"].to_numpy()[rows], sort=True)
        needed = max(self.n_candidates + 1, self._anchors_each())
        enough = np.bincount(codes, samples // self.window, len(names)) >= needed
        if self.n_candidates:  # an anchor excludes up to 2 T - 1 starts; at least one must remain
            enough &= np.bincount(codes, samples - self.window + 1, len(names)) >= 2 * self.window
        self._report_excluded(participants, names, enough, needed)
        keep = enough[codes]
        order = np.argsort(codes[keep], kind="stable")
        codes, self._rows, self._samples = codes[keep][order], rows[keep][order], samples[keep][order]
        self.participants = [str(name) for name in names[enough]]
        self._first = np.searchsorted(codes, np.flatnonzero(enough))
        self._last = np.append(self._first[1:], len(codes))
        # Start s of recording r is the integer line[r] + s; the lines of all participants follow each other.
        self._line = np.append(0, np.cumsum(self._samples - self.window + 1))

    def _anchors_each(self) -> int:
        return self.batch_size // self.participants_per_batch if self.participants_per_batch else 1

    def _check_batch(self) -> None:
        count = self.participants_per_batch
        if count is None:
            return
        if self.batch_size % count:
            raise ConfigError(
                f"data.batch_size={self.batch_size} is not a multiple of data.participants_per_batch={count}."
            )
        if count > len(self.participants):
            raise ConfigError(
                f"data.participants_per_batch={count} but only {len(self.participants)} participants can be drawn; "
                "lower it."
            )

    def _shares(self, weights: Mapping[str, float]) -> np.ndarray:
        """Probability ``(participants,)`` of each participant."""
        found = np.array([weights[name] for name in self.participants], dtype=np.float64)
        if not (np.isfinite(found) & (found >= 0)).all() or (found > 0).sum() < (self.participants_per_batch or 1):
            raise DataError(
                "Participants cannot be drawn in proportion to data.weights: expected numbers of 0 or more, above 0 "
                f"for at least {self.participants_per_batch or 1} of {len(found)}. Choose another column, or set "
                "data.weights=null."
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
            log.warning("Excluded %d of %d participants with %s: %s", len(excluded), len(asked), what, excluded[:10])

    def _report_short(self) -> None:
        """Warn of recordings in which no candidate near its anchor is apart from it."""
        short = int((self._samples < 2 * self.window).sum())
        if short and self.n_candidates:
            log.warning(
                "%d of %d recordings are shorter than two windows of %d samples. There, a candidate that data.within_s "
                "draws overlaps its anchor or is the same window: lower data.window_s, or leave them out of the store.",
                short,
                len(self._samples),
                self.window,
            )

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
        """Positions ``(B,)`` of the anchors on the line; those of one participant do not overlap."""
        participants, which, counts = np.unique(who, return_inverse=True, return_counts=True)
        places = np.empty(len(who), dtype=np.int64)
        alone = counts[which] == 1  # nearly all, in a large cohort
        places[alone] = rng.integers(self._line[self._first[who[alone]]], self._line[self._last[who[alone]]])
        for i in np.flatnonzero(counts > 1):
            places[which == i] = self._apart(rng, participants[i], counts[i])
        return places

    def _apart(self, rng: np.random.Generator, participant: int, count: int) -> np.ndarray:
        """Random starts ``(count,)`` on a participant's line, which do not overlap if there is room."""
        first, last = self._first[participant], self._last[participant]
        samples = self._samples[first:last]
        offset = rng.integers(0, np.minimum(self.window, samples - self.window + 1))
        slots = (samples - offset) // self.window
        total = slots.sum()
        # More anchors than the participant has room for, as in a tiny cohort: some windows are drawn twice.
        slot = rng.choice(total, count, replace=bool(count > total))
        recording = np.searchsorted(np.cumsum(slots), slot, side="right")
        within = slot - (np.cumsum(slots) - slots)[recording]
        places: np.ndarray = self._line[first + recording] + offset[recording] + within * self.window
        return places

    def _candidates(self, rng: np.random.Generator, who: np.ndarray, anchors: np.ndarray) -> np.ndarray:
        """Positions ``(B, c)`` of candidates on the line of the anchor's participant that do not overlap the anchor."""
        recording = np.searchsorted(self._line, anchors, side="right") - 1
        first, last = self._line[recording], self._line[recording + 1]
        begin, end = self._line[self._first[who]], self._line[self._last[who]]
        if self.within is not None:
            begin, end = np.maximum(anchors - self.within, first), np.minimum(anchors + self.within + 1, last)
        low, high = np.maximum(anchors - self.window + 1, first), np.minimum(anchors + self.window, last)
        free = (end - begin) - (high - low)
        places = begin[:, None] + rng.integers(0, np.maximum(free, 1)[:, None], size=(len(who), self.n_candidates))
        apart = np.where(places >= low[:, None], places + (high - low)[:, None], places)
        farthest = np.where(anchors - begin > end - 1 - anchors, begin, end - 1)
        drawn: np.ndarray = np.where(free[:, None] > 0, apart, farthest[:, None])
        return drawn
