"""Folds of published work: named participants, or the division of a benchmark's code."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import ceil

import numpy as np
from sklearn.model_selection import train_test_split

from relcon_lightning.data.splits import FEWEST, Split
from relcon_lightning.errors import ConfigError, DataError, nearest
from relcon_lightning.wording import counted

_SHARE = 0.2  # fraction of test participants, and of the others for validation


def named_folds(
    participants: Collection[str],
    test: Sequence[Sequence[str]],
    validation: Sequence[Sequence[str]] | None = None,
    seed: int = 0,
    strata: Mapping[str, str] | None = None,
) -> Iterator[Split]:
    """Make splits with named test participants; the training set of a fold is everybody else.

    Args:
        participants: Ids of all participants who have windows.
        test: Ids of the test participants of each fold.
        validation: Ids of the validation participants of each fold; None: the test participants of the next fold.
        seed: Not used; all functions that make folds have it.
        strata: Not used.

    Raises:
        ConfigError: There is only one fold and no validation set, the numbers of folds differ, or a fold is not a list.
        DataError: A name is not among the participants.
    """
    for part in (*test, *(validation or [])):
        if isinstance(part, str):
            raise ConfigError(f"task.folds: {part} is not a list of names: write [[P01,P02],[P03]].")
    if validation is None:
        if len(test) < 2:
            raise ConfigError(
                "task.folds.test has only one fold: name its validation participants in task.folds.validation."
            )
        validation = [*test[1:], test[0]]
    if len(validation) != len(test):
        raise ConfigError(
            f"task.folds names {len(test)} test and {len(validation)} validation sets: expected equal numbers."
        )
    everybody = set(participants)
    for name in (name for part in (*test, *validation) for name in part):
        if name not in everybody:
            raise DataError(f"task.folds names {name}, who has no windows{nearest(name, everybody)}.")
    for tested, chosen in zip(test, validation, strict=True):
        rest = everybody.difference(tested, chosen)
        yield Split(tuple(rest), tuple(chosen), tuple(tested))


def benchmark_folds(
    participants: Collection[str], k: int = 5, seed: int = 42, strata: Mapping[str, str] | None = None
) -> Iterator[Split]:
    """Make k splits as the public code of the benchmark in the paper's Table 4 does (Haresamudram et al. 2022).

    The first test set is scikit-learn's random fifth, the next ones are drawn from the remaining participants.
    The validation set is a fifth of the others. For HHAR, whose ids are letters, the order in the public code changes
    from run to run, so these folds are one possible outcome.

    Args:
        participants: Ids of the participants, which are sorted first.
        k: Number of splits.
        seed: Seed of all draws; 42 in the public code.
        strata: Not used.

    Raises:
        ConfigError: k is not a whole number of 3 or more, or there are too few participants for k splits.
    """
    ids = sorted(set(participants))
    possible = isinstance(k, int) and k >= FEWEST and len(ids) >= FEWEST
    size = ceil(len(ids) / k) if possible else 0
    if not possible or size * (k - 1) >= len(ids):
        raise ConfigError(
            f"task.folds: {counted(len(ids), 'participant')} cannot be divided into k={k} folds. Set another k, "
            f"{FEWEST} or more."
        )
    rng = np.random.RandomState(seed)
    rest, test = train_test_split(ids, test_size=_SHARE, random_state=seed)
    tested: list[str] = []
    for i in range(k):
        if i:
            left = [name for name in ids if name not in tested]
            rng.shuffle(left)
            test = left[:size] if i < k - 1 else left
            rest = [name for name in ids if name not in test]
        train, validation = train_test_split(rest, test_size=_SHARE, random_state=seed)
        tested += test
        yield Split(tuple(train), tuple(validation), tuple(test))
