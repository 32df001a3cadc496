"""Callbacks that monitor and checkpoint the training of a method."""

from relcon_lightning.training.callbacks.best_checkpoint import BestCheckpoint
from relcon_lightning.training.callbacks.candidates import CandidateMonitor
from relcon_lightning.training.callbacks.compilation import Compilation
from relcon_lightning.training.callbacks.embedding import EmbeddingMonitor
from relcon_lightning.training.callbacks.finite import FiniteGuard
from relcon_lightning.training.callbacks.first_step import FirstStep
from relcon_lightning.training.callbacks.first_validation import FirstValidation
from relcon_lightning.training.callbacks.last_checkpoint import LastCheckpoint
from relcon_lightning.training.callbacks.longer_schedule import LongerSchedule
from relcon_lightning.training.callbacks.online_probe import OnlineProbe
from relcon_lightning.training.callbacks.pictures import Pictures
from relcon_lightning.training.callbacks.progress import Progress
from relcon_lightning.training.callbacks.provenance import Provenance
from relcon_lightning.training.callbacks.rank_watch import RankWatch
from relcon_lightning.training.callbacks.retrieval import RetrievalMonitor
from relcon_lightning.training.callbacks.speed import Speed
from relcon_lightning.training.callbacks.step_checkpoint import StepCheckpoint

__all__ = [
    "BestCheckpoint",
    "CandidateMonitor",
    "Compilation",
    "EmbeddingMonitor",
    "FiniteGuard",
    "FirstStep",
    "FirstValidation",
    "LastCheckpoint",
    "LongerSchedule",
    "OnlineProbe",
    "Pictures",
    "Progress",
    "Provenance",
    "RankWatch",
    "RetrievalMonitor",
    "Speed",
    "StepCheckpoint",
]
