"""Uncertainty of comparisons: a bootstrap over participants, paired between systems.

Windows of one person are similar, so the bootstrap draws people: an interval shows how a result would vary with other
people. All systems share the draws, which makes differences much more certain than the scores themselves.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

DRAWS = 2000
FEWEST = 6  # minimum number of participants for a verdict
FEWEST_SEEDS = 3  # minimum number of seeds for a verdict: with fewer, one lucky seed can decide
_COVERAGE = 0.95


class Interval(NamedTuple):
    """An estimate with the percentile interval of its bootstrap draws."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """True if the interval of a difference does not include 0."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_f1(predictions: pd.DataFrame, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Macro F1 of each system in each draw of participants, averaged over seeds.

    Args:
        predictions: Columns system, seed, participant, label and predicted; of one level.
        draws: Number of bootstrap samples. Each draws all participants with replacement.
        seed: Seed of the draws.

    Returns:
        One column per system, in order of appearance. Index 0 has all participants once, 1 to ``draws`` the draws.
    """
    people, classes = predictions["participant"].unique(), np.unique(predictions[["label", "predicted"]])
    weights = _weights(len(people), draws, seed)
    columns = {}
    for system, of_system in predictions.groupby("system", sort=False):
        seeds = [
            macro_f1(np.tensordot(weights, _confusions(part, people, classes), axes=1))
            for _, part in of_system.groupby("seed")
        ]
        columns[system] = np.mean(seeds, axis=0)
    return pd.DataFrame(columns)


def bootstrap_mae(predictions: pd.DataFrame, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Mean absolute error of participants' averages in each draw, in the form of :func:`bootstrap_f1`.

    Args:
        predictions: Columns system, seed, participant, label and predicted, the last two numbers.
        draws: Number of bootstrap samples. Each draws all participants with replacement.
        seed: Seed of the draws.
    """
    means = predictions.groupby(["system", "seed", "participant"], sort=False)[["label", "predicted"]].mean()
    errors = (means["predicted"] - means["label"]).abs().unstack("participant")
    tested = errors.notna().to_numpy()  # each seed may have different participants
    weights = _weights(errors.shape[1], draws, seed)
    with np.errstate(invalid="ignore"):  # a draw may contain no participant of a seed
        drawn = pd.DataFrame(weights @ errors.fillna(0).to_numpy().T / (weights @ tested.T), columns=errors.index)
    return drawn.T.groupby("system", sort=False).mean().T


def _weights(people: int, draws: int, seed: int) -> np.ndarray:
    """Number of times ``(1 + draws, people)`` that each person is drawn; the first row has everybody once."""
    drawn = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=draws)
    return np.vstack([np.ones(people, dtype=int), drawn])


def interval(draws: pd.Series) -> Interval:
    """The estimate (index 0) and the central 95 % of the draws."""
    tail = (1 - _COVERAGE) / 2
    low, high = np.quantile(draws.iloc[1:], [tail, 1 - tail])
    return Interval(float(draws.iloc[0]), float(low), float(high))


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Macro F1 ``(...)`` from counts ``(..., true class, predicted class)``, without classes that do not occur."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    total = confusion.sum(-1) + confusion.sum(-2)
    f1 = 2 * hits / np.maximum(total, 1)
    return np.asarray(f1.sum(-1) / np.maximum((total > 0).sum(-1), 1))


def _confusions(part: pd.DataFrame, people: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Counts ``(participant, true class, predicted class)``."""
    counts = np.zeros((len(people), len(classes), len(classes)), dtype=np.int64)
    person = pd.Categorical(part["participant"], categories=people).codes
    np.add.at(counts, (person, np.searchsorted(classes, part["label"]), np.searchsorted(classes, part["predicted"])), 1)
    return counts


def comparison_table(predictions: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """One row per system: the metric with its interval, the first system minus this one, and the verdict.

    The metric is macro F1 for classes and the mean absolute error for numbers.

    Args:
        predictions: Predictions of one level, as for :func:`bootstrap_f1` or :func:`bootstrap_mae`.
        draws: Number of bootstrap samples.
    """
    drawn, numeric = _drawn(predictions, draws)
    missing = _missing(predictions)
    first = drawn.columns[0]
    rows = []
    for system in drawn:
        difference = interval(drawn[first] - drawn[system])
        own = system == first
        verdict = "" if own else missing or _verdict(difference, numeric)
        rows.append((str(interval(drawn[system])), "" if own else str(difference), verdict))
    names = [f"{'MAE' if numeric else 'macro F1'} [95 %]", f"{first} minus this system", f"{first} is"]
    return pd.DataFrame(rows, index=drawn.columns, columns=names)


def clearly_best(predictions: pd.DataFrame, draws: int = DRAWS) -> str | None:
    """The system that differs significantly from every other one, if there are enough people and seeds for a verdict.

    Args:
        predictions: Predictions, as for :func:`comparison_table`.
        draws: Number of bootstrap samples.
    """
    drawn, numeric = _drawn(predictions, draws)
    if drawn.shape[1] < 2 or _missing(predictions):
        return None
    for system in drawn:
        rivals = (interval(drawn[system] - drawn[other]) for other in drawn if other != system)
        if all(_verdict(difference, numeric) == "better" for difference in rivals):
            return str(system)
    return None


def _drawn(predictions: pd.DataFrame, draws: int) -> tuple[pd.DataFrame, bool]:
    """The bootstrap of the metric for these predictions, and True if the metric is an error (lower is better)."""
    numeric = pd.api.types.is_float_dtype(predictions["label"])
    return (bootstrap_mae if numeric else bootstrap_f1)(predictions, draws), numeric


def _missing(predictions: pd.DataFrame) -> str:
    """Describe what is missing for a verdict; empty if nothing is."""
    people, seeds = predictions["participant"].nunique(), predictions["seed"].nunique()
    if people < FEWEST:
        return f"no verdict: {people} {'person' if people == 1 else 'people'}, {FEWEST} needed"
    if seeds < FEWEST_SEEDS:
        return f"no verdict: {seeds} seed{'s' if seeds > 1 else ''}, {FEWEST_SEEDS} needed"
    return ""


def intervals(predictions: pd.DataFrame, draws: int = DRAWS) -> dict[str, Interval]:
    """Metric of each system with its 95 % interval over participants, for one level.

    Args:
        predictions: Predictions, as for :func:`comparison_table`.
        draws: Number of bootstrap samples.
    """
    drawn, _ = _drawn(predictions, draws)
    return {str(system): interval(drawn[system]) for system in drawn}


def _verdict(difference: Interval, less_is_better: bool) -> str:
    if not difference.excludes_zero:
        return "not clearly different"
    return "better" if (difference.value > 0) != less_is_better else "worse"
