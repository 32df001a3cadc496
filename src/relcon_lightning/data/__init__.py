"""Recordings, the cohort store and the datamodule that draws anchors and candidates from it."""

from typing import TYPE_CHECKING

from relcon_lightning.data.recording import CohortInfo, Recording, Segment
from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.lazy import lazy

if TYPE_CHECKING:
    from relcon_lightning.data.datamodule import CandidateDataModule

__all__ = ["CandidateDataModule", "CohortInfo", "CohortStore", "Recording", "Segment"]

__getattr__, __dir__ = lazy(__name__, {"CandidateDataModule": "datamodule"})  # importing it imports Lightning
