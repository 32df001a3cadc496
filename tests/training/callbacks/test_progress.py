"""The bar of a training is one line of a terminal with 80 columns."""

from __future__ import annotations

import io
import re

import lightning as L
import pytest
import torch

from relcon_lightning.training.callbacks import Progress

pytestmark = pytest.mark.filterwarnings("ignore")


class Steps(torch.utils.data.IterableDataset):
    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self):
        return iter([torch.zeros(2)] * self.count)


class Losing(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(2, 1)

    def training_step(self, batch, batch_idx):
        self.log_dict({"train/loss": torch.tensor(375.16712), "val/loss": torch.tensor(12463.399)}, prog_bar=True)
        return self.net(batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters())


@pytest.mark.parametrize("steps", [80, 100_000])
def test_a_line_of_80_columns_has_steps_time_and_both_losses(steps, tmp_path):
    drawn = io.StringIO()
    progress = Progress(leave=True, console_kwargs={"width": 80, "file": drawn, "force_terminal": True})
    trainer = L.Trainer(
        default_root_dir=tmp_path,
        max_steps=3,
        max_epochs=1,
        accelerator="cpu",
        callbacks=[progress],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit(Losing(), torch.utils.data.DataLoader(Steps(steps), batch_size=None))
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.getvalue())
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]
    assert max(map(len, lines)) <= 80
    assert re.fullmatch(rf"Training +━+ 3/{steps} [\d:]+ • [\d:-]+ [\d.]+it/s loss: 375.17 val: 12463", lines[-1])
