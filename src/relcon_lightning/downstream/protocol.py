"""Leave-people-out protocol: the participants, windows and folds of an evaluation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from relcon_lightning.data.pseudonyms import unseen_participants
from relcon_lightning.data.recording import samples_in
from relcon_lightning.data.splits import Split, leave_one_out, refuse_leakage
from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.downstream.evaluate import Divisions
from relcon_lightning.errors import ConfigError, DataError, nearest, positive
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)

Divide = Callable[..., Split | Iterable[Split]]  # (participants, strata=..., seed=...), such as k_fold


@dataclass(frozen=True)
class Protocol:
    """Participants, windows and folds of an evaluation.

    Example::

        from relcon_lightning.downstream import Protocol, evaluate, handcrafted, labelled_windows
        from relcon_lightning.runs.checkpoint import Checkpoint

        store = CohortStore.open("data/watch")
        protocol = Protocol(window_s=2.56)
        people = protocol.participants(store, Checkpoint.read("runs/watch/relcon/seed0").participants)
        windows = labelled_windows(store, *protocol.lengths(store.sampling_rate), people)
        folds = protocol.folds(people, store)
        result = evaluate([handcrafted(store.sampling_rate)], windows, folds, seeds=[0])

    Attributes:
        window_s: Length of a window in seconds.
        stride_s: Time between the starts of consecutive windows in seconds; None: the window length.
        overlap: Fraction of a window that overlaps the next window; it shortens the stride.
        divide: Function that divides participants into folds, such as :func:`relcon_lightning.data.splits.k_fold`.
        asked: Ids of the participants to evaluate on; None: everyone who was not used for training.
        redivide: Divide the participants again with each seed of the evaluation.
        stratify: Column of the store's table of participants; folds have the same proportion of each of its groups.
        position: Body position that the store must have; None: any.
    """

    window_s: float
    stride_s: float | None = None
    overlap: float = 0.0
    divide: Divide = field(default_factory=lambda: leave_one_out)
    asked: Sequence[str] | None = None
    redivide: bool = False
    stratify: str | None = None
    position: str | None = None

    def lengths(self, sampling_rate: float) -> tuple[int, int]:
        """Length and stride of the windows in samples.

        Args:
            sampling_rate: Rate of the store in Hz.

        Raises:
            ConfigError: The overlap is not a fraction below 1, or a length is less than one sample.
        """
        if isinstance(self.overlap, bool) or not isinstance(self.overlap, int | float) or not 0 <= self.overlap < 1:
            raise ConfigError(
                f"overlap={self.overlap}: expected the fraction of a window that overlaps, 0 or more and below 1."
            )
        stride_s = self.window_s if self.stride_s is None else positive("stride_s", self.stride_s)
        seconds = {"window_s": positive("window_s", self.window_s), "stride_s": stride_s * (1 - self.overlap)}
        samples = {name: samples_in(value, sampling_rate) for name, value in seconds.items()}
        for name, count in samples.items():
            if count < 1:
                raise ConfigError(f"{name} makes {count} samples at {sampling_rate:g} Hz; expected one or more.")
        return samples["window_s"], samples["stride_s"]

    def participants(self, store: CohortStore, trained_on: Sequence[Mapping[str, Any]] = ()) -> list[str]:
        """Ids of the participants to evaluate on: those in ``asked``, or all on whom no encoder was trained.

        Args:
            store: Cohort store.
            trained_on: ``salt`` and ``hashes`` of the people that an encoder was trained on, as
                :attr:`relcon_lightning.runs.checkpoint.Checkpoint.participants` has them.

        Raises:
            ConfigError: The store was recorded at another body position.
            DataError: An encoder was trained on a participant in ``asked``.
        """
        if self.position and store.info.position != self.position:
            raise ConfigError(
                f"This task is for the {self.position}, but {store.path} was recorded on the {store.info.position}: "
                f"prepare and evaluate it with data.source.position={self.position}."
            )
        everybody = store.participants["participant_id"].tolist()
        if self.asked is not None:
            if not self.asked:
                raise ConfigError("task.participants=[]: name one participant or more, or set it to null for all.")
            for name in sorted(set(self.asked) - set(everybody)):
                raise DataError(
                    f"task.participants names {name}, who is not in {store.path}{nearest(name, everybody)}."
                )
            for one in trained_on:
                refuse_leakage(self.asked, **one)
            return list(self.asked)
        unseen = everybody
        for one in trained_on:
            unseen = unseen_participants(unseen, **one)
        if len(unseen) < len(everybody):
            log.info(
                "%d of %d participants are excluded: they were used to train or validate the encoder (people are "
                "recognised by their ids).",
                len(everybody) - len(unseen),
                len(everybody),
            )
        return unseen

    def folds(
        self,
        allowed: Collection[str],
        store: CohortStore,
        found: Collection[str] | None = None,
        seeds: Sequence[int] = (),
    ) -> Divisions:
        """Folds of the participants who have windows, for all seeds, or per seed if each seed divides again.

        Args:
            allowed: Ids of the participants to evaluate on.
            store: Cohort store.
            found: Ids of the participants who have windows; None: all allowed ones.
            seeds: Seeds of the evaluation.

        Raises:
            DataError: A participant in ``asked`` has no windows, or there are too few people for the folds.
        """
        present = sorted(set(allowed if found is None else found))
        without = sorted(set(allowed) - set(present))
        if without and self.asked is not None:
            raise DataError(f"task.participants names people without windows in {store.path}: {', '.join(without)}.")
        if without:
            log.info("No windows for this task: %s (%s).", counted(len(without), "participant"), ", ".join(without))
        strata = store.strata(self.stratify)
        if not self.redivide:
            return _listed(self.divide(present, strata=strata))
        return {int(seed): _listed(self.divide(present, strata=strata, seed=int(seed))) for seed in seeds}


def _listed(folds: Split | Iterable[Split]) -> list[Split]:
    return [folds] if isinstance(folds, Split) else list(folds)
