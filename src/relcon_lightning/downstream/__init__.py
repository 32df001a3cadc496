"""Judging frozen embeddings: labelled windows, probes, floors, metrics and the report."""

from relcon_lightning.downstream.end_to_end import EndToEndProbe
from relcon_lightning.downstream.evaluate import Evaluation, evaluate
from relcon_lightning.downstream.probes import LinearProbe, LinearRegressionProbe, RandomForestProbe
from relcon_lightning.downstream.report import print_report, write_report
from relcon_lightning.downstream.systems import System
from relcon_lightning.downstream.windows import LabelledWindows, embed_windows, labelled_windows

__all__ = [
    "EndToEndProbe",
    "Evaluation",
    "LabelledWindows",
    "LinearProbe",
    "LinearRegressionProbe",
    "RandomForestProbe",
    "System",
    "embed_windows",
    "evaluate",
    "labelled_windows",
    "print_report",
    "write_report",
]
