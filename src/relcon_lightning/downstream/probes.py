"""Probes on frozen features: scikit-learn, what is left open is chosen on validation participants."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits


class LinearProbe:
    """Logistic regression on standardised features, its regularisation chosen on the validation participants.

    Args:
        inverse_strengths: Values of C to try; infinity means none.
        max_iter: Of the solver.
    """

    def __init__(
        self, inverse_strengths: Sequence[float] = (np.inf, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5), max_iter: int = 300
    ) -> None:
        self.inverse_strengths, self.max_iter = tuple(float(c) for c in inverse_strengths), max_iter

    def fit(
        self, x: np.ndarray, label: np.ndarray, x_val: np.ndarray, label_val: np.ndarray, seed: int = 0
    ) -> LinearProbe:
        """Fit one model a strength on ``(N, F)`` and keep the one with the best macro F1 on the validation windows."""
        # The matrices are small: more threads only wait for each other.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)  # without regularisation the optimum can be at infinity
            fitted = {c: self._model(c).fit(x, label) for c in self.inverse_strengths}
        scores = {c: f1_score(label_val, m.predict(x_val), average="macro") for c, m in fitted.items()}
        self.chosen = max(scores, key=lambda c: (scores[c], -c))
        self.classes: list[str] = [str(name) for name in fitted[self.chosen].classes_]
        self._best = fitted[self.chosen]
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """``(N, C)`` probabilities, columns in the order of ``classes``."""
        return np.asarray(self._best.predict_proba(x))

    def _model(self, c: float) -> Pipeline:
        return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=self.max_iter))


class LinearRegressionProbe:
    """Least squares on standardised features, for numeric targets (paper, Table 1).

    Nothing is chosen, so the validation participants and the seed are not used.
    """

    def fit(
        self, x: np.ndarray, target: np.ndarray, x_val: np.ndarray, target_val: np.ndarray, seed: int = 0
    ) -> LinearRegressionProbe:
        """Fit on ``(N, F)`` and targets ``(N,)``."""
        self._model = make_pipeline(StandardScaler(), LinearRegression()).fit(x, target)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """``(N,)`` predicted targets."""
        return np.asarray(self._model.predict(x))


class RandomForestProbe:
    """A random forest; nothing is chosen, so the validation participants are not used.

    Args:
        n_estimators: Trees.
    """

    def __init__(self, n_estimators: int = 300) -> None:
        self.n_estimators = n_estimators

    def fit(
        self, x: np.ndarray, label: np.ndarray, x_val: np.ndarray, label_val: np.ndarray, seed: int = 0
    ) -> RandomForestProbe:
        """Fit on ``(N, F)``."""
        self._forest = RandomForestClassifier(self.n_estimators, random_state=seed, n_jobs=-1).fit(x, label)
        self.classes: list[str] = [str(name) for name in self._forest.classes_]
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """``(N, C)`` probabilities, columns in the order of ``classes``."""
        return np.asarray(self._forest.predict_proba(x))
