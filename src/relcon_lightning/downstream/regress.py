"""Evaluation of encoders by regression: a probe on frozen features predicts one number per window (Table 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from relcon_lightning.data.splits import Split
from relcon_lightning.downstream.bar import Bars
from relcon_lightning.downstream.evaluate import Divisions, by_seed, part_sizes
from relcon_lightning.downstream.evaluation import Evaluation
from relcon_lightning.downstream.metrics import regression_metrics
from relcon_lightning.downstream.systems import RegressionProbe, System
from relcon_lightning.downstream.tables import Tables
from relcon_lightning.downstream.targets import TargetWindows
from relcon_lightning.errors import DataError


def evaluate_regression(
    systems: Sequence[System[RegressionProbe]],
    windows: TargetWindows,
    splits: Divisions,
    seeds: Sequence[int],
    units: Mapping[str, str],
    bootstrap: bool = True,
) -> Evaluation:
    """Fit each system's probe to each target on training participants and score it on test participants.

    Windows without a value of a target are ignored for that target. With several splits, the predictions for all test
    participants are scored together. A seed determines the random numbers of a system and, if requested, a bootstrap of
    the training windows.

    Args:
        systems: Systems whose probes predict numbers.
        windows: Windows of all participants of the splits.
        splits: Splits of participants, for all seeds or per seed. Within a seed, nobody is tested twice.
        seeds: Seeds; the evaluation is repeated once per seed.
        units: Unit of each target of the windows.
        bootstrap: True: each seed draws the training windows with replacement. False: each seed uses all of them once.

    Returns:
        An evaluation with one level per target.

    Raises:
        DataError: Training or test participants lack a target, or somebody is tested twice.
    """
    divided = by_seed(splits, seeds)
    folds = {
        (name, seed): [
            _drawn(_rows(windows, k, split), seed if bootstrap else None)
            for split in own
            if _has(windows, k, split.test)
        ]
        for k, name in enumerate(windows.names)
        for seed, own in divided.items()
    }
    for (name, _), of_target in folds.items():
        if not of_target:
            raise DataError(f"No test participant has windows with {name}.")
    tables, steps = Tables(len(seeds)), sum(map(len, folds.values()))
    with Bars(steps).of([system.name for system in systems]) as bars:
        for system in systems:
            bars.begin(system.name)
            with tables.timed(system):
                for seed in seeds:
                    if seed == seeds[0] or system.seeded:
                        features = system.features(seed, windows.signal)
                    for k, name in enumerate(windows.names):
                        parts = bars.folds(folds[name, seed], f"seed {seed}, {name}")
                        guess = [_predict(system.probe(), features, windows, k, rows, seed) for rows in parts]
                        items = _items(windows, k, [test for _, _, test in folds[name, seed]], guess)
                        metrics = regression_metrics(items["label"], items["predicted"], items["participant"])
                        tables.add(system.name, name, seed, metrics, pd.DataFrame(items))
    sizes = part_sizes(windows.participant, windows.recording, [_parts(windows, split) for split in divided[seeds[0]]])
    return Evaluation(*tables.frames(), sizes, units=dict(units))


def _items(
    windows: TargetWindows, target: int, tested: Sequence[np.ndarray], guess: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Tested windows of all folds, with their targets and predictions."""
    rows = np.concatenate(tested)
    return {
        "participant": windows.participant[rows],
        "recording": windows.recording[rows],
        "label": windows.targets[rows, target],
        "predicted": np.concatenate(guess),
    }


def _has(windows: TargetWindows, target: int, participants: Sequence[str]) -> bool:
    return bool((np.isin(windows.participant, participants) & np.isfinite(windows.targets[:, target])).any())


def _rows(windows: TargetWindows, target: int, split: Split) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of training, validation and test windows that have a target."""
    known = np.isfinite(windows.targets[:, target])
    train, validation, test = (
        np.flatnonzero(known & np.isin(windows.participant, part))
        for part in (split.train, split.validation, split.test)
    )
    if len(train) < 2:
        raise DataError(
            f"The training participants {split.train} have {len(train)} windows with {windows.names[target]}; "
            "a regression needs two or more: give another split."
        )
    return train, validation, test


def _drawn(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows with a bootstrap of the training windows; with all of them if there is no seed."""
    train, validation, test = rows
    return (train if seed is None else np.random.default_rng(seed).choice(train, len(train))), validation, test


def _predict(
    probe: RegressionProbe,
    x: np.ndarray,
    windows: TargetWindows,
    target: int,
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
    seed: int,
) -> np.ndarray:
    """Predictions for the test windows, by a probe that is fitted to the training windows."""
    (train, validation, test), known = rows, windows.targets[:, target]
    probe = probe.fit(x[train], known[train], x[validation], known[validation], seed, windows.participant[train])
    return np.asarray(probe.predict(x[test]))


def _parts(windows: TargetWindows, split: Split) -> dict[str, np.ndarray]:
    """Rows of the windows of training and test participants, regardless of their targets."""
    parts = {"train": split.train, "test": split.test}
    return {name: np.flatnonzero(np.isin(windows.participant, ids)) for name, ids in parts.items()}
