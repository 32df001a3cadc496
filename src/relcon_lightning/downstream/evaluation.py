"""Results of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

FOLD_COLUMNS = ["system", "level", "metric", "seed", "fold", "value"]


@dataclass
class Evaluation:
    """Results of a task.

    Attributes:
        scores: Long table with columns system, level, metric, seed, value. The level is window or recording; in a
            regression it is the target.
        folds: Scores of each fold separately, as in ``scores`` with an additional column fold; empty for a single fold
            or a regression.
        predictions: Long table with columns system, level, seed, participant, recording, label and predicted, one row
            per tested window or recording.
        costs: Time in seconds and number of parameters of each system.
        sizes: Numbers of participants, recordings and windows for training and validation (mean over folds) and in
            total for the test.
        probabilities: Probabilities ``(N, C)`` of the tested windows or recordings with the first seed, by system and
            level.
        embeddings: Features ``(M, F)`` of some of the tested windows with the first seed, by system.
        embedded: Labels ``(M,)`` of these windows.
        classes: Classes of a classification, sorted.
        units: Units of the targets of a regression.
    """

    scores: pd.DataFrame
    predictions: pd.DataFrame
    costs: pd.DataFrame
    sizes: pd.DataFrame
    classes: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    probabilities: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    embeddings: dict[str, np.ndarray] = field(default_factory=dict)
    embedded: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=str))
    folds: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=FOLD_COLUMNS))

    def save_drawn(self, folder: Path) -> None:
        """Write ``probabilities.parquet`` and ``embeddings.npz`` of the first seed, for curves and maps.

        The first has the columns system, level and label, and one column per class. The second has the labels as
        ``label``, the names of the systems as ``systems``, and the features of the k-th system as ``k``.
        """
        if self.probabilities:
            seed = self.predictions["seed"].iloc[0]
            of_first = self.predictions[self.predictions["seed"] == seed].groupby(["system", "level"], sort=False)
            parts = []
            for (system, level), chances in self.probabilities.items():
                known = of_first.get_group((system, level))[["system", "level", "label"]].reset_index(drop=True)
                parts.append(known.join(pd.DataFrame(chances.astype(np.float32), columns=self.classes)))
            pd.concat(parts, ignore_index=True).to_parquet(folder / "probabilities.parquet", index=False)
        if self.embeddings:
            arrays = {str(k): array.astype(np.float32) for k, array in enumerate(self.embeddings.values())}
            names = np.array(list(self.embeddings))
            np.savez_compressed(folder / "embeddings.npz", label=self.embedded, systems=names, **arrays)  # type: ignore[arg-type]
