"""Probes on frozen features, with scikit-learn. Hyperparameters are chosen on the validation participants."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from relcon_lightning.errors import ConfigError, DataError


def _checked(name: str, values: Sequence[float]) -> tuple[float, ...]:
    """Settings to try as numbers; raises ConfigError if there are none, or if one is not above 0."""
    settings = tuple(float(value) for value in values)
    if not settings or not all(value > 0 for value in settings):
        raise ConfigError(f"{name}={list(settings)}: expected one or more numbers above 0.")
    return settings


class _ChosenProbe:
    """A classifier on standardised features with a setting that is chosen on the validation participants.

    Args:
        name: Name of the setting.
        settings: Settings to try; smaller numbers mean stronger regularisation.
        max_iter: Maximum number of iterations.

    Raises:
        ConfigError: There are no settings, or a number is not above 0.
    """

    def __init__(self, name: str, settings: Sequence[float], max_iter: int) -> None:
        self.settings = _checked(name, settings)
        _checked("max_iter", [max_iter])
        self.max_iter = max_iter

    def fit(self, x: np.ndarray, label: np.ndarray, x_val: np.ndarray, label_val: np.ndarray, seed: int = 0) -> Self:
        """Fit one model per setting on ``(N, F)``; keep the one with the best macro F1 on validation windows."""
        # The matrices are small, so more threads would only wait for each other.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)  # without regularisation the optimum may be infinite
            fitted = {c: make_pipeline(StandardScaler(), self._model(c, seed)).fit(x, label) for c in self.settings}
        scores = {c: f1_score(label_val, m.predict(x_val), average="macro") for c, m in fitted.items()}
        self.chosen = max(scores, key=lambda c: (scores[c], -c))
        self.classes: list[str] = [str(name) for name in fitted[self.chosen].classes_]
        self._best: Pipeline = fitted[self.chosen]
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Probabilities ``(N, C)``, with columns in the order of ``classes``."""
        return np.asarray(self._best.predict_proba(x))

    def _model(self, setting: float, seed: int) -> ClassifierMixin:
        raise NotImplementedError


class LinearProbe(_ChosenProbe):
    """Logistic regression on standardised features, with regularisation chosen on the validation participants.

    Args:
        inverse_strengths: Values of C to try; infinity: no regularisation.
        max_iter: Maximum number of iterations of the solver.
    """

    def __init__(
        self, inverse_strengths: Sequence[float] = (np.inf, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5), max_iter: int = 300
    ) -> None:
        super().__init__("inverse_strengths", inverse_strengths, max_iter)

    def _model(self, setting: float, seed: int) -> ClassifierMixin:
        return LogisticRegression(C=setting, max_iter=self.max_iter)


class MlpProbe(_ChosenProbe):
    """One hidden layer on standardised features (paper, Table 3); weight decay is chosen on validation participants.

    Args:
        hidden: Number of hidden units.
        inverse_decays: Values of 1 / alpha of :class:`sklearn.neural_network.MLPClassifier` to try.
        max_iter: Maximum number of passes over the training windows.
    """

    def __init__(
        self, hidden: int = 512, inverse_decays: Sequence[float] = (1e4, 1e2, 1.0), max_iter: int = 100
    ) -> None:
        super().__init__("inverse_decays", inverse_decays, max_iter)
        _checked("hidden", [hidden])
        self.hidden = hidden

    def _model(self, setting: float, seed: int) -> ClassifierMixin:
        return MLPClassifier((self.hidden,), alpha=1 / setting, max_iter=self.max_iter, random_state=seed)


class _Regression:
    """Base class of regressions. They choose no hyperparameters and do not use the validation participants."""

    def fit(
        self,
        x: np.ndarray,
        target: np.ndarray,
        x_val: np.ndarray,
        target_val: np.ndarray,
        seed: int = 0,
        participant: np.ndarray | None = None,
    ) -> Self:
        """Fit on features ``(N, ...)``, targets ``(N,)`` and the participant ``(N,)`` of each window."""
        self._fitted = self._model(seed).fit(x, target)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predicted targets ``(N,)``."""
        return np.asarray(self._fitted.predict(x))

    def _model(self, seed: int) -> RegressorMixin | Pipeline:
        raise NotImplementedError


class LinearRegressionProbe(_Regression):
    """Least squares on standardised features (paper, Table 1)."""

    def _model(self, seed: int) -> Pipeline:
        return make_pipeline(StandardScaler(), LinearRegression())


class RidgeRegressionProbe(_Regression):
    """Least squares with a penalty on standardised features, for tasks with few windows.

    The penalty is the one with the smallest squared error in leave-one-participant-out cross-validation.

    Args:
        strengths: Penalties to try.
    """

    def __init__(self, strengths: Sequence[float] = (1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6)) -> None:
        self.strengths = _checked("strengths", strengths)

    def fit(
        self,
        x: np.ndarray,
        target: np.ndarray,
        x_val: np.ndarray,
        target_val: np.ndarray,
        seed: int = 0,
        participant: np.ndarray | None = None,
    ) -> Self:
        """Fit on features ``(N, F)``, targets ``(N,)`` and the participant ``(N,)`` of each window.

        Raises:
            DataError: All windows are of one participant.
        """
        if participant is None or len(set(participant.tolist())) < 2:
            raise DataError("The ridge probe needs two training participants: add some, or set probe=linear.")
        search = GridSearchCV(
            make_pipeline(StandardScaler(), Ridge()),
            {"ridge__alpha": self.strengths},
            cv=LeaveOneGroupOut(),
            scoring="neg_mean_squared_error",
        )
        with threadpool_limits(1):
            self._fitted = search.fit(x, target, groups=participant)
        self.chosen = float(search.best_params_["ridge__alpha"])
        return self


class RandomForestRegressionProbe(_Regression):
    """A random forest that predicts numbers.

    Args:
        n_estimators: Number of trees.
    """

    def __init__(self, n_estimators: int = 300) -> None:
        self.n_estimators = n_estimators

    def _model(self, seed: int) -> RegressorMixin:
        return RandomForestRegressor(self.n_estimators, random_state=seed, n_jobs=-1)


class TrainingMean(_Regression):
    """Predicts the mean of the training targets: a baseline that each regression must beat."""

    def _model(self, seed: int) -> RegressorMixin:
        return DummyRegressor()


class RandomForestProbe:
    """A random forest classifier. It chooses no hyperparameters and does not use the validation participants.

    Args:
        n_estimators: Number of trees.
    """

    def __init__(self, n_estimators: int = 300) -> None:
        self.n_estimators = n_estimators

    def fit(
        self, x: np.ndarray, label: np.ndarray, x_val: np.ndarray, label_val: np.ndarray, seed: int = 0
    ) -> RandomForestProbe:
        """Fit on features ``(N, F)``."""
        self._forest = RandomForestClassifier(self.n_estimators, random_state=seed, n_jobs=-1).fit(x, label)
        self.classes: list[str] = [str(name) for name in self._forest.classes_]
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Probabilities ``(N, C)``, with columns in the order of ``classes``."""
        return np.asarray(self._forest.predict_proba(x))
