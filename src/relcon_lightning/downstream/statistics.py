"""How sure a comparison is: bootstrap over participants, the same people for both sides.

Windows of one person are alike, so the unit that is drawn is the person: a result is certain as far as other people
would give it too. Draws are shared by all systems, which makes differences far more certain than the two scores.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

DRAWS = 2000
FEWEST = 6  # participants below which a bootstrap over them decides nothing
FEWEST_SEEDS = 3  # of weights and samples, below which nobody knows what luck of one of them did
_COVERAGE = 0.95


class Interval(NamedTuple):
    """An estimate and the percentile interval of its bootstrap draws."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is outside the noise."""
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
        Columns systems in the order they come, index 0 for the participants as they are, 1 to ``draws`` for the draws.
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
    """Mean absolute error of participants' averages, as :func:`bootstrap_f1` gives macro F1.

    Args:
        predictions: Columns system, seed, participant, label and predicted, the last two numbers.
        draws: Number of bootstrap samples. Each draws all participants with replacement.
        seed: Seed of the draws.
    """
    means = predictions.groupby(["system", "seed", "participant"], sort=False)[["label", "predicted"]].mean()
    errors = (means["predicted"] - means["label"]).abs().unstack("participant")
    weights, tested = _weights(errors.shape[1], draws, seed), errors.notna().to_numpy()  # not everybody with each seed
    with np.errstate(invalid="ignore"):  # a draw of people none of whom a seed tested has no mean of that seed
        drawn = pd.DataFrame(weights @ errors.fillna(0).to_numpy().T / (weights @ tested.T), columns=errors.index)
    return drawn.T.groupby("system", sort=False).mean().T


def _weights(people: int, draws: int, seed: int) -> np.ndarray:
    """``(1 + draws, people)``: how often each is drawn; the first row has everybody once."""
    drawn = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=draws)
    return np.vstack([np.ones(people, dtype=int), drawn])


def interval(draws: pd.Series) -> Interval:
    """The estimate (index 0) and the central 95 % of the draws after it."""
    tail = (1 - _COVERAGE) / 2
    low, high = np.quantile(draws.iloc[1:], [tail, 1 - tail])
    return Interval(float(draws.iloc[0]), float(low), float(high))


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """``(...)`` from counts ``(..., true class, predicted class)``; classes that are in neither do not count."""
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
    """Rows systems; a metric with its interval, the difference of the first system to each, and what follows.

    The metric is macro F1 of classes, and the mean absolute error of numbers.

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
    names = [f"{'MAE' if numeric else 'macro F1'} [95 %]", f"{first} minus it", f"{first} is"]
    return pd.DataFrame(rows, index=drawn.columns, columns=names)


def clearly_best(predictions: pd.DataFrame, draws: int = DRAWS) -> str | None:
    """The system whose difference to every other one is outside the noise, if people and seeds allow to name one.

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
    """The bootstrap of the metric that suits the predictions, and whether it is an error, of which less is better."""
    numeric = pd.api.types.is_float_dtype(predictions["label"])
    return (bootstrap_mae if numeric else bootstrap_f1)(predictions, draws), numeric


def _missing(predictions: pd.DataFrame) -> str:
    """What a verdict lacks, in words; empty if nothing."""
    people, seeds = predictions["participant"].nunique(), predictions["seed"].nunique()
    if people < FEWEST:
        return f"no verdict: {people} people, {FEWEST} needed"
    if seeds < FEWEST_SEEDS:
        return f"no verdict: {seeds} seed{'s' if seeds > 1 else ''}, {FEWEST_SEEDS} needed"
    return ""


def intervals(predictions: pd.DataFrame, draws: int = DRAWS) -> dict[str, Interval]:
    """The metric of each system with its 95 % interval over participants; of one level.

    Args:
        predictions: Predictions, as for :func:`comparison_table`.
        draws: Number of bootstrap samples.
    """
    drawn, _ = _drawn(predictions, draws)
    return {str(system): interval(drawn[system]) for system in drawn}


def _verdict(difference: Interval, less_is_better: bool) -> str:
    if not difference.excludes_zero:
        return "not clearly other"
    return "better" if (difference.value > 0) != less_is_better else "worse"
