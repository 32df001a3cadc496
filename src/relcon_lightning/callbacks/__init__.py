"""Callbacks that monitor and checkpoint the training of a method."""

from relcon_lightning.callbacks.candidates import CandidateMonitor
from relcon_lightning.callbacks.compiled import Compiled
from relcon_lightning.callbacks.embedding import EmbeddingMonitor
from relcon_lightning.callbacks.finite import FiniteGuard
from relcon_lightning.callbacks.first_validation import FirstValidation
from relcon_lightning.callbacks.last_checkpoint import LastCheckpoint
from relcon_lightning.callbacks.longer_schedule import LongerSchedule
from relcon_lightning.callbacks.online_probe import OnlineProbe
from relcon_lightning.callbacks.pictures import Pictures
from relcon_lightning.callbacks.progress import Progress
from relcon_lightning.callbacks.provenance import Provenance
from relcon_lightning.callbacks.retrieval import RetrievalMonitor
from relcon_lightning.callbacks.speed import Speed
from relcon_lightning.callbacks.step_checkpoint import StepCheckpoint

__all__ = [
    "CandidateMonitor",
    "Compiled",
    "EmbeddingMonitor",
    "FiniteGuard",
    "FirstValidation",
    "LastCheckpoint",
    "LongerSchedule",
    "OnlineProbe",
    "Pictures",
    "Progress",
    "Provenance",
    "RetrievalMonitor",
    "Speed",
    "StepCheckpoint",
]
