"""Recordings, the cohort store and the datamodule that draws anchors and candidates from it."""

from relcon_lightning.data.datamodule import CandidateDataModule
from relcon_lightning.data.recording import CohortInfo, Recording, Segment
from relcon_lightning.data.store import CohortStore

__all__ = ["CandidateDataModule", "CohortInfo", "CohortStore", "Recording", "Segment"]
