"""What a checkpoint carries beside weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from relcon_lightning.checkpoint import FORMAT, KEY, BuiltFrom
from relcon_lightning.data.datamodule import CandidateDataModule
from relcon_lightning.data.pseudonyms import hash_participants


class Provenance(Callback):
    """Writes into each checkpoint what is needed to read it back and to keep its participants out of a test.

    Args:
        config: The resolved configuration of the run, plain Python.
        built_from: What the run began with: its frozen distance, and the checkpoint that it goes on from. Their
            participants count as participants of this run.
    """

    def __init__(self, config: dict[str, Any], built_from: Sequence[BuiltFrom] = ()) -> None:
        self.config, self.built_from = config, built_from
        self._fingerprint = ""

    def fingerprint(self, data: CandidateDataModule) -> str:
        """Of the cohort: its runs share a salt, so that people are hashed once to compare them with several runs."""
        self._fingerprint = self._fingerprint or data.store.fingerprint()
        return self._fingerprint

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the entry."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, CandidateDataModule)
        salt = f"{self.config['data']['name']}-{self.fingerprint(data)}"
        trained_on = data.split.train + data.split.validation
        checkpoint[KEY] = {
            "format": FORMAT,
            "version": version("relcon-lightning"),
            "config": self.config,
            "participants": {"salt": salt, "hashes": hash_participants(trained_on, salt)},
            "built_from": [asdict(part) for part in self.built_from],
            "training": {"data": self.fingerprint(data), "ranks": trainer.world_size},
            "data": {name: str(getattr(data.store.info, name)) for name in ("name", "position", "licence", "citation")},
        }
