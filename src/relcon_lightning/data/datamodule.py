"""The LightningDataModule of all methods: anchors and candidates of the same participant, from a cohort store."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.data.recording import samples_in
from relcon_lightning.data.sampling import CandidateSampler
from relcon_lightning.data.splits import Split, ratio_split
from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.data.store.verify import Verify
from relcon_lightning.errors import ConfigError, DataError, positive, whole
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)

_ENDLESS = 2**31
_VALIDATION_SEED = 1_000_003  # separates validation draws from the training draws of the same seed


class CandidateBatches(Dataset[CandidateBatch]):
    """Item k is the whole batch k on this rank: one read per shard, no collation."""

    def __init__(
        self, store: CohortStore, sampler: CandidateSampler, rank: int, world_size: int, candidates: bool = True
    ) -> None:
        self.store, self.sampler, self.rank, self.world_size = store, sampler, rank, world_size
        self.candidates = candidates

    def __getitem__(self, step: int) -> CandidateBatch:
        """Read the windows of a step."""
        draw = self.sampler.draw(step, self.rank, self.world_size, self.candidates)
        rows, starts = (np.append(x[:, 0], x[:, 1:]) for x in (draw.recordings, draw.starts))  # anchors first
        return CandidateBatch(
            torch.from_numpy(self.store.gather(rows, starts, self.sampler.window)),
            torch.from_numpy(draw.participants.astype(np.int64)),
            torch.from_numpy(draw.recordings.astype(np.int64)),
            torch.from_numpy(draw.starts.astype(np.int64)),
        )


class Steps(Sampler[int]):
    """Steps of a run, from the one at which it resumes. Its length is that of the whole run, as Lightning counts."""

    def __init__(self, first: int, total: int) -> None:
        self.first, self.total = first, total

    def __iter__(self) -> Iterator[int]:
        """The remaining steps."""
        return iter(range(self.first, self.total))

    def __len__(self) -> int:
        """Number of steps of the whole run."""
        return self.total


class CandidateDataModule(L.LightningDataModule):
    """Batches of anchors and within-participant candidates, split by participant.

    A batch is a :class:`~relcon_lightning.batch.CandidateBatch`. Candidates are not read in the stages in which the
    method uses none, see :class:`~relcon_lightning.methods.base.Method`; the anchors are the same with and without.

    Args:
        store: Folder or address of the cohort store.
        window_s: Length of a window in seconds.
        sampling_rate: Sampling rate that the model expects in Hz; a store of another rate is refused.
        n_candidates: Number c of candidates of the same participant per anchor.
        within_s: Candidates are of the same recording and start at most this many seconds from their anchor; None: they
            are from all recordings of the participant. See :class:`~relcon_lightning.data.sampling.CandidateSampler`.
        batch_size: Number of anchors per batch and device.
        participants_per_batch: See :class:`~relcon_lightning.data.sampling.CandidateSampler`.
        ratios: Relative numbers of participants for training, validation and test (10, 3, 3 in the paper).
        split: Split, or a ``split.json`` file that contains it; overrides ``ratios``.
        split_seed: Seed of the split of participants; separate from ``seed``, so that runs with other seeds share a
            test set.
        stratify: Column of ``participants.parquet``; each part gets the same proportion of its groups.
        weights: Numeric column of ``participants.parquet``, e.g. ``active_h``. Participants of training batches are
            drawn in proportion to it; None: uniformly.
        seed: Seed of all draws.
        val_batches: Number of validation batches, which are the same at every validation.
        verify: See :meth:`~relcon_lightning.data.CohortStore.open`.
        cache_gb: See :meth:`~relcon_lightning.data.CohortStore.open`.
        num_workers: Number of processes that read ahead. Batches do not depend on it.

    Raises:
        ConfigError: A number is not whole, too small or not finite, or a batch has fewer windows than participants.
    """

    def __init__(
        self,
        store: str | Path,
        window_s: float = 2.56,
        sampling_rate: float = 100.0,
        n_candidates: int = 20,
        batch_size: int = 64,
        participants_per_batch: int | None = None,
        ratios: tuple[float, float, float] = (10, 3, 3),
        split: Split | str | Path | None = None,
        split_seed: int = 0,
        stratify: str | None = None,
        weights: str | None = None,
        seed: int = 0,
        val_batches: int = 4,
        num_workers: int = 0,
        verify: Verify = "once",
        cache_gb: float = 0.0,
        within_s: float | None = None,
    ) -> None:
        super().__init__()
        self.batch_size = whole("data.batch_size", batch_size)
        self.n_candidates = whole("data.n_candidates", n_candidates, least=0)
        self.val_batches = whole("data.val_batches", val_batches)
        self.num_workers = whole("data.num_workers", num_workers, least=0)
        self.split_seed = whole("data.split_seed", split_seed, least=0)
        self.seed = whole("data.seed", seed, least=0)
        if participants_per_batch is not None:
            whole("data.participants_per_batch", participants_per_batch)
        self.participants_per_batch = participants_per_batch
        if batch_size < (participants_per_batch or 1):
            raise ConfigError(
                f"data.batch_size={batch_size} is smaller than data.participants_per_batch={participants_per_batch}: "
                "each participant of a batch needs one window or more."
            )
        self.sampling_rate = positive("data.sampling_rate", sampling_rate)
        self.window = samples_in(positive("data.window_s", window_s), sampling_rate)
        if self.window < 2:  # one sample shows no movement
            raise ConfigError(
                f"data.window_s={window_s} makes {counted(self.window, 'sample')} at {sampling_rate:g} Hz; expected "
                "two or more."
            )
        self.within = None if within_s is None else samples_in(positive("data.within_s", within_s), sampling_rate)
        self.path, self.verify, self.cache_gb = store, verify, cache_gb
        self.ratios, self._given_split, self.stratify, self.weights = ratios, split, stratify, weights
        self._ready = False

    def setup(self, stage: str | None = None) -> None:
        """Open the store, divide its participants and prepare the samplers; later calls do nothing.

        Raises:
            ConfigError: The file of the split cannot be read.
            DataError: There is no store at the path, it has another rate, the split names people who are not in it, or
                participants lack enough windows or weights.
        """
        if self._ready:  # the trainer calls it again
            return
        self.store = CohortStore.open(self.path, self.verify, self.cache_gb)
        self.store.check_rate(self.sampling_rate)
        ids = self.store.participants["participant_id"].tolist()
        self.split = self._divide(ids)
        train, validation = self.split.train, self.split.validation
        per_batch = self._fitting(train)
        each = self.batch_size // (self.participants_per_batch or 1)
        size = self.batch_size if per_batch is None or self.batch_size % each else each * per_batch
        weights = self.store.numbers(self.weights)
        self.train_sampler = self._sampler(train, self.seed, per_batch, size, weights)
        # If fewer people are held out than a training batch mixes, each gives more windows, so that the losses of
        # training and validation have the same number of candidates.
        held_out = None if per_batch is None else min(per_batch, len(validation))
        if held_out != per_batch:
            size = self._validation_size(held_out or 1, size, each)
        self.val_sampler = self._sampler(validation, self.seed + _VALIDATION_SEED, held_out, size)
        self._ready = True

    def train_dataloader(self) -> DataLoader[CandidateBatch]:
        """Batches of the steps ``trainer.global_step`` to ``trainer.max_steps`` (one endless epoch to Lightning)."""
        trainer = self.trainer
        if trainer is None:
            return self._loader(self.train_sampler, Steps(0, _ENDLESS), "train")
        each = trainer.accumulate_grad_batches  # batches per step
        total = trainer.max_steps * each if trainer.max_steps >= 0 else _ENDLESS
        return self._loader(self.train_sampler, Steps(trainer.global_step * each, total), "train")

    def val_dataloader(self) -> DataLoader[CandidateBatch]:
        """The same ``val_batches`` batches each time."""
        return self._loader(self.val_sampler, Steps(0, self.val_batches), "val")

    def _divide(self, ids: list[str]) -> Split:
        given = self._given_split
        if given is None:
            return ratio_split(ids, self.ratios, self.split_seed, self.store.strata(self.stratify))
        split = given if isinstance(given, Split) else Split.load(given)
        strangers = sorted({*split.train, *split.validation, *split.test} - set(ids))
        if strangers:
            raise DataError(
                f"data.split names participants who are not in {self.path}: {', '.join(strangers[:5])}. Give the split "
                "of a run on this cohort, or set data.split=null."
            )
        return split

    def _fitting(self, participants: tuple[str, ...]) -> int | None:
        """People per training batch: the requested number, or all people if there are fewer, with a message."""
        asked = self.participants_per_batch
        if asked is None or self.batch_size % asked:  # the sampler refuses the latter
            return asked
        needed = max(self.batch_size // asked, self.n_candidates + 1)
        there = int((self._windows(participants, self.store.recordings["n_samples"]) >= needed).sum())
        if not 0 < there < asked:
            return asked
        log.warning(
            "data.participants_per_batch=%d is lowered to %d, the number of training participants. A batch has %d "
            "windows of each.",
            *(asked, there, self.batch_size // asked),
        )
        return there

    def _validation_size(self, people: int, size: int, least: int) -> int:
        """Windows per validation batch of ``people``, as close to the training ``size`` as their recordings allow.

        Everybody with at least ``least`` windows is kept.
        """
        beside = self.store.recordings["n_samples"] - self.window + 1  # count windows for any start of the first one
        each = self._windows(self.split.validation, beside)
        fewest = int(each[each >= least].min()) if (each >= least).any() else least
        return people * max(least, min(size // people, fewest))

    def _windows(self, participants: tuple[str, ...], samples: pd.Series[int]) -> pd.Series[int]:
        """Number of consecutive windows of each participant in recordings of ``samples`` samples."""
        ids = self.store.recordings["participant_id"]
        own = ids.isin(participants)
        return (samples[own] // self.window).clip(lower=0).groupby(ids[own]).sum()

    def _sampler(
        self,
        participants: tuple[str, ...],
        seed: int,
        per_batch: int | None,
        batch_size: int,
        weights: dict[str, float] | None = None,
    ) -> CandidateSampler:
        return CandidateSampler(
            self.store.recordings,
            participants,
            self.window,
            self.n_candidates,
            batch_size,
            per_batch,
            seed,
            weights,
            self.within,
        )

    def _loader(self, sampler: CandidateSampler, steps: Steps, stage: str) -> DataLoader[CandidateBatch]:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        method = self.trainer.lightning_module if self.trainer else None
        candidates = stage in getattr(method, "stages_with_candidates", ("train", "val"))
        return DataLoader(
            CandidateBatches(self.store, sampler, rank, world_size, candidates),
            batch_size=None,
            sampler=steps,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0,
            multiprocessing_context=self.store.start_method if self.num_workers else None,
        )
