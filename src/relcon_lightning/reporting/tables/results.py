"""Read saved evaluations for the paper's tables: by run, over seeds or over folds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score, f1_score

from relcon_lightning.data.splits import Split
from relcon_lightning.errors import DataError
from relcon_lightning.reporting.evaluations import SYSTEMS, SavedEvaluation


@dataclass(frozen=True)
class Results:
    """An evaluation, and the run that each of its systems comes from.

    Attributes:
        evaluation: Saved evaluation.
        names: Mapping from run to the name of its system.
    """

    evaluation: SavedEvaluation
    names: dict[str, str]

    @classmethod
    def read(cls, folder: Path, runs: dict[str, Path]) -> Results:
        """Read the folder of an evaluation.

        Args:
            folder: Folder of the evaluation.
            runs: Mapping from run to its folder, which contains one folder per seed.

        Raises:
            DataError: The evaluation is damaged, or is of other runs.
        """
        evaluation = SavedEvaluation.read(folder)
        try:
            systems = json.loads((folder / SYSTEMS).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{folder / SYSTEMS} cannot be read ({error}): remove {folder} and start again.") from error
        names = {}
        for run, path in runs.items():
            found = [
                name for name, own in systems.items() if any(path.resolve() in Path(p).resolve().parents for p in own)
            ]
            if len(found) != 1:
                raise DataError(f"{folder} is not an evaluation of {path}: remove it and start again.")
            names[run] = found[0]
        return cls(evaluation, names)

    def system(self, row: str) -> str:
        """Name of the system in a row. Names of baselines and supervised networks are returned unchanged."""
        return self.names.get(row, row)

    def over_seeds(self, row: str, level: str, metric: str) -> tuple[float, float] | None:
        """Mean and sample standard deviation over seeds; None if the system was not evaluated."""
        scores = self.evaluation.scores
        chosen = (scores["system"] == self.system(row)) & (scores["level"] == level) & (scores["metric"] == metric)
        return _mean_std(scores.loc[chosen, "value"].to_numpy())

    def over_folds(self, row: str, metric: str) -> tuple[float, float] | None:
        """Mean and sample standard deviation over folds of ``f1`` or ``kappa`` of windows.

        Each fold is scored separately, as the mean over its seeds. None if the system was not evaluated.
        """
        found = self.evaluation.predictions
        own = found[(found["system"] == self.system(row)) & (found["level"] == "window")]
        score = _SCORES[metric]
        values = []
        for people in self._folds():
            tested = own[own["participant"].isin(people)]
            seeds = [score(part["label"], part["predicted"]) for _, part in tested.groupby("seed")]
            if seeds:
                values.append(np.mean(seeds))
        return _mean_std(np.array(values))

    def _folds(self) -> list[tuple[str, ...]]:
        """Test participants of each fold."""
        return [Split.load(path).test for path in sorted((self.evaluation.folder / "splits").glob("*.json"))]

    def averages(self, row: str, level: str) -> tuple[np.ndarray, np.ndarray]:
        """True and predicted averages ``(participants,)`` of a target, with the first seed."""
        found = self.evaluation.predictions
        own = found[(found["system"] == self.system(row)) & (found["level"] == level)]
        own = own[own["seed"] == own["seed"].iloc[0]]
        means = own.groupby("participant")[["label", "predicted"]].mean()
        return means["label"].to_numpy(float), means["predicted"].to_numpy(float)

    def probabilities(self, row: str, level: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Labels ``(N,)``, probabilities ``(N, C)`` and the names of the C classes, with the first seed."""
        table = pd.read_parquet(self.evaluation.folder / "probabilities.parquet")
        own = table[(table["system"] == self.system(row)) & (table["level"] == level)]
        classes = [name for name in table.columns if name not in ("system", "level", "label")]
        return own["label"].to_numpy(str), own[classes].to_numpy(float), classes

    def predicted(self, row: str, level: str) -> tuple[np.ndarray, np.ndarray]:
        """True and predicted classes ``(N,)``, with the first seed."""
        found = self.evaluation.predictions
        own = found[(found["system"] == self.system(row)) & (found["level"] == level)]
        own = own[own["seed"] == own["seed"].iloc[0]]
        return own["label"].to_numpy(str), own["predicted"].to_numpy(str)

    def embeddings(self, rows: tuple[str, ...]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Features ``(M, F)`` by row, and the labels ``(M,)``, with the first seed."""
        with np.load(self.evaluation.folder / "embeddings.npz") as arrays:
            systems = arrays["systems"].tolist()
            return {row: arrays[str(systems.index(self.system(row)))] for row in rows}, arrays["label"]


def _f1(label: pd.Series[str], predicted: pd.Series[str]) -> float:
    return float(f1_score(label, predicted, average="macro"))


def _kappa(label: pd.Series[str], predicted: pd.Series[str]) -> float:
    return float(cohen_kappa_score(label, predicted))


_SCORES = {"f1": _f1, "kappa": _kappa}


def _mean_std(values: np.ndarray) -> tuple[float, float] | None:
    if not len(values) or not np.isfinite(values).any():
        return None
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
