"""Provenance that is stored in each checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from relcon_lightning.data.datamodule import CandidateDataModule
from relcon_lightning.data.pseudonyms import hash_participants
from relcon_lightning.methods.base import DRAWS
from relcon_lightning.runs.checkpoint import BuiltFrom
from relcon_lightning.runs.checkpoint_format import KEY, new_entry


class Provenance(Callback):
    """Adds to each checkpoint the information to load it and to exclude its participants from tests.

    Args:
        config: Resolved configuration of the run, as plain Python.
        built_from: Provenance of the frozen distance and of the checkpoint that the run resumes from. Their
            participants count as participants of this run.
    """

    def __init__(self, config: dict[str, Any], built_from: Sequence[BuiltFrom] = ()) -> None:
        self.config, self.built_from = config, built_from
        self._fingerprint = ""

    def fingerprint(self, data: CandidateDataModule) -> str:
        """Salt of the cohort. All runs of a cohort share it, so that people are hashed once for all of them."""
        self._fingerprint = self._fingerprint or data.store.fingerprint()
        return self._fingerprint

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the entry."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, CandidateDataModule)
        salt = f"{self.config['data']['name']}-{self.fingerprint(data)}"
        trained_on = data.split.train + data.split.validation
        checkpoint[KEY] = new_entry(
            self.config,
            participants={"salt": salt, "hashes": hash_participants(trained_on, salt)},
            built_from=[asdict(part) for part in self.built_from],
            training={"data": self.fingerprint(data), "ranks": trainer.world_size, "draws": DRAWS},
            data={name: str(getattr(data.store.info, name)) for name in ("name", "position", "license", "citation")},
        )
