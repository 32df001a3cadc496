"""Evaluation of frozen embeddings: labelled windows, probes, baselines, metrics and reports."""

from relcon_lightning.downstream.end_to_end import EndToEndProbe
from relcon_lightning.downstream.evaluate import evaluate
from relcon_lightning.downstream.evaluation import Evaluation
from relcon_lightning.downstream.grid import grid_windows
from relcon_lightning.downstream.probes import (
    LinearProbe,
    LinearRegressionProbe,
    MlpProbe,
    RandomForestProbe,
    RidgeRegressionProbe,
)
from relcon_lightning.downstream.protocol import Protocol
from relcon_lightning.downstream.regress import evaluate_regression
from relcon_lightning.downstream.systems import System, frozen, handcrafted
from relcon_lightning.downstream.targets import TargetWindows, target_windows
from relcon_lightning.downstream.windows import LabelledWindows, labelled_windows

__all__ = [
    "EndToEndProbe",
    "Evaluation",
    "LabelledWindows",
    "LinearProbe",
    "LinearRegressionProbe",
    "MlpProbe",
    "Protocol",
    "RandomForestProbe",
    "RidgeRegressionProbe",
    "System",
    "TargetWindows",
    "evaluate",
    "evaluate_regression",
    "frozen",
    "grid_windows",
    "handcrafted",
    "labelled_windows",
    "target_windows",
]
