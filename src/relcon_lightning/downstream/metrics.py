"""Metrics of the paper's tables, computed with torchmetrics."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, Real, Shaped
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC, MulticlassCohenKappa, MulticlassF1Score

CLASSIFICATION = {"f1": "macro F1", "kappa": "Cohen's kappa", "accuracy": "accuracy", "auc": "macro AUC"}
REGRESSION = {
    "mse": "MSE",
    "sdse": "SDSE",
    "mae": "MAE",
    "sdae": "SDAE",
    "r": "Pearson r",
    "window_mae": "MAE of windows",
    "window_r": "r of windows",
}


def classification_metrics(
    label: Shaped[np.ndarray, " N"],
    predicted: Shaped[np.ndarray, " N"],
    probability: Float[np.ndarray, "N C"],
    classes: Sequence[str],
) -> dict[str, float]:
    """Macro F1, Cohen's kappa, accuracy and macro one-vs-rest AUC.

    As in scikit-learn, macro F1 ignores classes that are in neither the truth nor the predictions. Macro AUC uses the
    classes in the truth, and is NaN if there is only one.

    Args:
        label: True classes ``(N,)``, all among ``classes``.
        predicted: Predicted classes ``(N,)``.
        probability: Probabilities ``(N, C)``, with columns in the order of ``classes``.
        classes: Names of the C classes, sorted.
    """
    truth, guess = (torch.from_numpy(np.searchsorted(classes, x)) for x in (label, predicted))
    count = len(classes)
    present = torch.bincount(truth, minlength=count) > 0
    counted = present | (torch.bincount(guess, minlength=count) > 0)
    f1 = MulticlassF1Score(count, average="none")(guess, truth)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No (positive|negative) samples", UserWarning)  # only present classes count
        auc = MulticlassAUROC(count, average="none")(torch.from_numpy(probability).double(), truth)
    return {
        "f1": float(f1[counted].mean()),
        "kappa": float(MulticlassCohenKappa(count)(guess, truth)),
        "accuracy": float(MulticlassAccuracy(count, average="micro")(guess, truth)),
        "auc": float(auc[present].mean()) if present.sum() > 1 else float("nan"),
    }


def by_recording(
    predicted: Shaped[np.ndarray, " N"],
    probability: Float[np.ndarray, "N C"],
    recording: Shaped[np.ndarray, " N"],
    classes: Sequence[str],
) -> tuple[Int[np.ndarray, " R"], Shaped[np.ndarray, " R"], Float[np.ndarray, "R C"]]:
    """Aggregate windows to recordings: the most frequent predicted class, and the mean probability.

    If several classes are equally frequent, the one with the largest mean probability is used.

    Args:
        predicted: Predicted classes ``(N,)``.
        probability: Probabilities ``(N, C)``.
        recording: Ids ``(N,)`` of the recordings.
        classes: Names of the C classes, sorted.

    Returns:
        First row ``(R,)``, predicted class ``(R,)`` and probability ``(R, C)`` of each recording, sorted by id.
    """
    _, first, of = np.unique(recording, return_index=True, return_inverse=True)
    votes = np.zeros((len(first), len(classes)))
    np.add.at(votes, (of, np.searchsorted(classes, predicted)), 1)
    mean = np.zeros_like(votes)
    np.add.at(mean, of, probability)
    mean /= votes.sum(1, keepdims=True)
    return first, np.asarray(classes)[(votes + 0.5 * mean).argmax(1)], mean


def regression_metrics(
    target: Real[np.ndarray, " N"], predicted: Real[np.ndarray, " N"], participant: Shaped[np.ndarray, " N"]
) -> dict[str, float]:
    """Metrics of the paper's Table 1: errors of each participant's average, not of single windows.

    Targets and predictions are first averaged over the windows of a participant. Mean and population standard deviation
    of the squared and the absolute errors, and Pearson's r, are then computed over participants.

    Args:
        target: Targets ``(N,)``.
        predicted: Predictions ``(N,)``.
        participant: Ids ``(N,)`` of the participants.

    Returns:
        ``mse``, ``sdse``, ``mae``, ``sdae`` and ``r``, which is NaN if all participants have the same value up to
        rounding. Also ``window_mae`` and ``window_r`` over single windows, which are more informative
        with few participants.

    Example:
        >>> target, predicted = np.array([1.0, 1.0, 2.0, 2.0]), np.array([0.0, 2.0, 2.0, 3.0])
        >>> scores = regression_metrics(target, predicted, np.array(["ann", "ann", "bob", "bob"]))
        >>> scores["mae"], scores["window_mae"]  # the errors of Ann's windows cancel
        (0.25, 0.75)
    """
    windows = pd.DataFrame({"target": target, "predicted": predicted})
    means = windows.groupby(participant).mean()
    error = (means["predicted"] - means["target"]).to_numpy()
    squared, absolute = error**2, np.abs(error)
    return {
        "mse": float(squared.mean()),
        "sdse": float(squared.std()),
        "mae": float(absolute.mean()),
        "sdae": float(absolute.std()),
        "r": _pearson(means),
        "window_mae": float(np.abs(windows["predicted"] - windows["target"]).mean()),
        "window_r": _pearson(windows),
    }


def _pearson(table: pd.DataFrame) -> float:
    """Pearson's r of the columns target and predicted; NaN if one of them is constant up to rounding."""
    if any(np.ptp(column) <= 1e-9 * np.abs(column).max() for column in table.to_numpy().T):
        return float("nan")
    return float(table["target"].corr(table["predicted"]))


def retrieval_average_precision(
    distances: Real[np.ndarray, "N N"], label: Shaped[np.ndarray, " N"], participant: Shaped[np.ndarray, " N"]
) -> tuple[float, float, dict[str, float]]:
    """Measure how well a distance finds the same activity in other people.

    For each anchor, the candidates are the windows of *other* participants; those with the anchor's label are relevant.
    Candidates at the same distance count together, as in ``sklearn.metrics.average_precision_score``. Anchors without a
    relevant candidate are ignored. If a distance is NaN, the mean is NaN.

    Args:
        distances: Distances ``(N, N)``, one row per anchor.
        label: Labels ``(N,)``.
        participant: Ids ``(N,)`` of the participants.

    Returns:
        Mean average precision; its chance level (mean fraction of relevant candidates); the mean for each label.
    """
    candidate = participant[:, None] != participant[None]
    relevant = candidate & (label[:, None] == label[None])
    known = relevant.any(1)
    if not known.any():
        return float("nan"), float("nan"), {}
    order = np.lexsort((distances, ~candidate), axis=-1)  # sort candidates first, even those at infinite distance
    ranked, among, hit = (np.take_along_axis(table, order, axis=1) for table in (distances, candidate, relevant))
    # The counts at the end of a run of equal distances hold for all of its members.
    last = np.ones_like(hit)
    last[:, :-1] = (ranked[:, 1:] > ranked[:, :-1]) | (among[:, 1:] != among[:, :-1])
    index = np.where(last, np.arange(hit.shape[1]), hit.shape[1])
    end = np.minimum.accumulate(index[:, ::-1], axis=1)[:, ::-1]
    precision = np.take_along_axis(hit.cumsum(1), end, axis=1) / (end + 1)
    with np.errstate(invalid="ignore"):
        average = (precision * hit).sum(1) / hit.sum(1)
    average[(np.isnan(distances) & candidate).any(1)] = np.nan
    by_label = {str(name): float(average[known & (label == name)].mean()) for name in np.unique(label[known])}
    chance = (relevant.sum(1) / np.maximum(candidate.sum(1), 1))[known].mean()
    return float(average[known].mean()), float(chance), by_label
