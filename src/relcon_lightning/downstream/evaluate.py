"""Evaluation of encoders: frozen features, a probe fitted on some people, and metrics on others."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from relcon_lightning.data.splits import Split, checked_seeds
from relcon_lightning.downstream.bar import Bars
from relcon_lightning.downstream.evaluation import FOLD_COLUMNS, Evaluation
from relcon_lightning.downstream.metrics import by_recording, classification_metrics
from relcon_lightning.downstream.systems import Probe, System
from relcon_lightning.downstream.tables import Tables
from relcon_lightning.downstream.windows import LabelledWindows
from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)

Divisions = Sequence[Split] | Mapping[int, Sequence[Split]]  # folds for all seeds, or per seed


def evaluate(
    systems: Sequence[System[Probe]],
    windows: LabelledWindows,
    splits: Divisions,
    seeds: Sequence[int],
    bootstrap: bool = True,
    standardise: bool = False,
) -> Evaluation:
    """Fit each system's probe on training participants and score it on test participants.

    With several splits (folds), the predictions for all test participants are scored together, and each fold is also
    scored separately. A seed determines the weights of the random encoder, the trees of the forest and, if
    requested, a bootstrap of the training windows. The spread over seeds then shows how much the result of a probe
    depends on its training sample.

    Args:
        systems: Systems to evaluate, at least one.
        windows: Windows of all participants of the splits.
        splits: Splits of participants, for all seeds or per seed. Within a seed, nobody is tested twice.
        seeds: Seeds; the evaluation is repeated once per seed.
        bootstrap: True: each seed draws the training windows with replacement. False: each seed uses all of them once.
        standardise: Normalise the windows of each fold, axis by axis, with mean and standard deviation of its training
            windows. Features are then computed for each fold.

    Raises:
        DataError: A part of a split has no labelled windows, there is only one class, or somebody is tested twice.
    """
    folds = {seed: [_rows(windows, split) for split in own] for seed, own in by_seed(splits, seeds).items()}
    tested = {seed: np.concatenate([fold["test"] for fold in own]) for seed, own in folds.items()}
    classes = sorted(set(windows.label.tolist()))
    shown = _some(tested[seeds[0]], windows.label)
    tables, alone, probabilities, embeddings = Tables(len(seeds)), [], {}, {}
    with Bars(sum(len(folds[seed]) for seed in seeds)).of([system.name for system in systems]) as bars:
        for system in systems:
            bars.begin(system.name)
            with tables.timed(system):
                again = system.seeded or (standardise and isinstance(splits, Mapping))
                predicted = _predictions(system, windows, folds, classes, bars, bootstrap, standardise, again)
                for seed, features, folded in predicted:
                    if seed == seeds[0] and features[0].ndim == 2:
                        embeddings[system.name] = features[0][shown]
                    alone += _alone(system.name, seed, windows, folds[seed], folded, classes)
                    test, chances = windows.take(tested[seed]), np.concatenate(folded)
                    for level, items, metrics, chance in _scored(test, chances, classes):
                        tables.add(system.name, level, seed, metrics, items)
                        if seed == seeds[0]:
                            probabilities[system.name, level] = chance
    return Evaluation(
        *tables.frames(),
        part_sizes(windows.participant, windows.recording, folds[seeds[0]]),
        classes,
        probabilities=probabilities,
        embeddings=embeddings,
        embedded=windows.label[shown],
        folds=pd.DataFrame(alone, columns=FOLD_COLUMNS),
    )


def _predictions(
    system: System[Probe],
    windows: LabelledWindows,
    folds: Mapping[int, Sequence[dict[str, np.ndarray]]],
    classes: Sequence[str],
    bars: Bars,
    bootstrap: bool,
    standardise: bool,
    again: bool,
) -> Iterator[tuple[int, list[np.ndarray], list[np.ndarray]]]:
    """For each seed: features of all windows for each fold, and probabilities ``(N, C)`` of the fold's test windows.

    ``again``: compute the features again for each seed, because they depend on it.
    """
    features: list[np.ndarray] = []
    for seed, own in folds.items():
        if again or not features:
            features = _features(system, seed, windows.signal, own, standardise)
        drawn = [_bootstrap(rows, seed) for rows in own] if bootstrap else own
        parts = zip(features, bars.folds(drawn, f"seed {seed}"), strict=True)
        yield seed, features, [_predict(system.probe(), x, windows.label, rows, seed, classes) for x, rows in parts]


def _features(
    system: System[Probe], seed: int, signal: np.ndarray, folds: Sequence[Mapping[str, np.ndarray]], standardise: bool
) -> list[np.ndarray]:
    """Features of all windows for each fold, which are the same unless the windows are standardised."""
    if not standardise:
        return [system.features(seed, signal)] * len(folds)
    return [system.features(seed, standardised(signal, fold["train"])) for fold in folds]


def standardised(signal: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Standardise each axis of windows ``(N, 3, T)`` with the mean and standard deviation of the rows in ``train``."""
    mean = signal[train].mean((0, 2), dtype=np.float64)[:, None]
    std = signal[train].std((0, 2), dtype=np.float64)[:, None]
    scaled: np.ndarray = ((signal - mean) / np.where(std > 0, std, 1)).astype(np.float32)
    return scaled


def _alone(
    system: str,
    seed: int,
    windows: LabelledWindows,
    folds: Sequence[Mapping[str, np.ndarray]],
    folded: Sequence[np.ndarray],
    classes: Sequence[str],
) -> list[tuple[str, str, str, int, int, float]]:
    """Scores of each fold separately, as rows of :attr:`Evaluation.folds`."""
    if len(folds) < 2:
        return []
    return [
        (system, level, metric, seed, i, value)
        for i, (fold, probability) in enumerate(zip(folds, folded, strict=True))
        for level, _, metrics, _ in _scored(windows.take(fold["test"]), probability, classes)
        for metric, value in metrics.items()
    ]


def by_seed(splits: Divisions, seeds: Sequence[int]) -> dict[int, list[Split]]:
    """Folds of each seed. They are scored together, so each participant must be tested at most once.

    Args:
        splits: Splits for all seeds, or per seed.
        seeds: Seeds of the evaluation.

    Raises:
        ConfigError: There is no seed, or one occurs twice.
        DataError: A participant is in two test sets of one seed. The message names the participant.
    """
    divided = {seed: list(splits[seed] if isinstance(splits, Mapping) else splits) for seed in checked_seeds(seeds)}
    for own in divided.values():
        tested = [name for split in own for name in split.test]
        twice = sorted({name for name in tested if tested.count(name) > 1})
        if twice:
            raise DataError(f"{', '.join(twice)} are in the test set of two splits, but each may be tested only once.")
    return divided


def _some(rows: np.ndarray, label: np.ndarray, most: int = 1000) -> np.ndarray:
    """At most ``most`` of the rows, with the same proportions of labels."""
    if len(rows) <= most:
        return rows
    order = np.random.default_rng(0).permutation(rows)
    order = order[np.argsort(label[order], kind="stable")]
    return np.asarray(order[np.linspace(0, len(order) - 1, most).round().astype(int)])


def _rows(windows: LabelledWindows, split: Split) -> dict[str, np.ndarray]:
    """Rows of the windows of each part, after checking that a probe can be fitted and tested on them."""
    parts = ("train", "validation", "test")
    rows = {part: np.flatnonzero(np.isin(windows.participant, getattr(split, part))) for part in parts}
    for part in parts:
        if not len(rows[part]):
            people = ", ".join(getattr(split, part))
            found = f"participants {people} have no labelled windows" if people else "part has no participants"
            raise DataError(
                f"The {part} {found}: a classifier is fitted, chosen and tested on three groups of people. Choose "
                "other folds (folds@task.folds=k_fold), or label more recordings."
            )
    trained = set(windows.label[rows["train"]].tolist())
    if len(trained) < 2:
        raise DataError(
            f"The training participants {split.train} have windows of {sorted(trained)} only; "
            "a probe needs two classes: give another split, or label more of their recordings."
        )
    unseen = sorted(set(windows.label[rows["test"]].tolist()) - trained)
    if unseen:
        log.warning("Classes %s are in the test set but not in the training set: they cannot be predicted.", unseen)
    return rows


def _bootstrap(rows: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Rows with the same number of training windows, drawn with replacement."""
    return rows | {"train": np.random.default_rng(seed).choice(rows["train"], len(rows["train"]))}


def _predict(
    probe: Probe, x: np.ndarray, label: np.ndarray, rows: dict[str, np.ndarray], seed: int, classes: Sequence[str]
) -> np.ndarray:
    """Probabilities ``(N, C)`` of a fold's test windows, over all classes of the task."""
    train = rows["train"]
    probe = probe.fit(x[train], label[train], x[rows["validation"]], label[rows["validation"]], seed)
    probability = np.zeros((len(rows["test"]), len(classes)))
    probability[:, np.searchsorted(classes, probe.classes)] = probe.predict_proba(x[rows["test"]])
    return probability


def _scored(
    test: LabelledWindows, probability: np.ndarray, classes: Sequence[str]
) -> Iterator[tuple[str, pd.DataFrame, dict[str, float], np.ndarray]]:
    """Level, tested rows with predictions, metrics and probabilities, first of windows, then of recordings."""
    guess = np.asarray(classes)[probability.argmax(1)]
    items = pd.DataFrame({"participant": test.participant, "recording": test.recording, "label": test.label})
    # A recording with several labels counts as one workout for each of them.
    whole = items.assign(recording=whole_recordings(test.recording))
    workout = whole["participant"] + "\0" + whole["recording"] + "\0" + whole["label"]
    first, voted, mean = by_recording(guess, probability, workout.to_numpy(dtype=str), classes)
    for level, rows, predicted, chance in (
        ("window", items, guess, probability),
        ("recording", whole.iloc[first], voted, mean),
    ):
        metrics = classification_metrics(rows["label"].to_numpy(), predicted, chance, classes)
        yield level, rows.assign(predicted=predicted), metrics, chance


def whole_recordings(ids: np.ndarray) -> list[str]:
    """Recording to which each part belongs: ``walk#1`` and ``walk#2`` are the parts of ``walk``, split at a gap."""
    return [re.sub(r"#\d+$", "", str(name)) for name in ids]


def part_sizes(
    participant: np.ndarray, recording: np.ndarray, folds: Sequence[Mapping[str, np.ndarray]]
) -> pd.DataFrame:
    """Numbers of participants, recordings and windows: mean over folds for training and validation, total for tests.

    Args:
        participant: Participants ``(N,)`` of the windows.
        recording: Recordings ``(N,)`` of the windows.
        folds: Rows of the windows of each part.
    """
    counts = {}
    for part in folds[0]:
        totals = np.array(
            [
                [*(len(np.unique(ids[fold[part]])) for ids in (participant, recording)), len(fold[part])]
                for fold in folds
            ]
        )
        counts[part] = totals.sum(0) if part == "test" else totals.mean(0).round().astype(int)
    return pd.DataFrame(counts, index=["participants", "recordings", "windows"]).T
