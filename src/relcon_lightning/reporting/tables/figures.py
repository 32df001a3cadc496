"""The paper's figures: all methods side by side, drawn from saved evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from relcon_lightning.reporting import plots
from relcon_lightning.reporting.tables.layout import TITLES
from relcon_lightning.reporting.tables.plan import MAIN
from relcon_lightning.reporting.tables.results import Results

_TARGET = "double_support"


def figure2(workout: Results) -> bytes:
    """t-SNE, perplexity 100."""
    embeddings, label = workout.embeddings(MAIN)
    return plots.tsne({TITLES[row]: features for row, features in embeddings.items()}, label)


def figure3(gait: Results) -> bytes:
    """Predicted against true double support time of participants, with r."""
    panels = {TITLES[row]: gait.averages(row, _TARGET) for row in MAIN}
    return plots.scatter_panels(panels, gait.evaluation.units[_TARGET])


def figure4(workout: Results) -> bytes:
    """ROC curves at the level of workouts."""
    found = {row: workout.probabilities(row, "recording") for row in MAIN}
    classes = next(iter(found.values()))[2]
    return plots.roc_panels({TITLES[row]: (label, chance) for row, (label, chance, _) in found.items()}, classes)


def figure5(workout: Results) -> bytes:
    """Confusion matrices at the level of workouts."""
    classes = workout.probabilities(MAIN[0], "recording")[2]
    return plots.confusion_panels({TITLES[row]: workout.predicted(row, "recording") for row in MAIN}, classes)


FIGURES: Mapping[str, tuple[str, Callable[[Results], bytes], str]] = {
    "figure2": (
        "workout",
        figure2,
        "t-SNE of test windows, perplexity 100, or a quarter of the number of windows if smaller",
    ),
    "figure3": ("gait", figure3, "Averages of test participants, first seed, with Pearson r"),
    "figure4": ("workout", figure4, "ROC of each workout against the others, first seed; macro AUC in the titles"),
    "figure5": ("workout", figure5, "Percentage of each true workout, first seed"),
}
