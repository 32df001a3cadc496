"""``relcon-embed``: one embedding per window of recordings."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from relcon_lightning.cli import commands
from relcon_lightning.data.inputs import find_inputs
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.store.parts import Part
from relcon_lightning.embed import Embedder
from relcon_lightning.embed.files import embed_files
from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.trust import trust


def main(config: DictConfig) -> None:
    """Embed the recordings of ``input=...`` with the encoder of ``checkpoint=...``."""
    trust(config.trust)
    if Path(config.output).resolve().is_relative_to(Path(config.input).resolve()):
        raise ConfigError(
            f"output={config.output} is in input={config.input} and would be read as a recording: choose another."
        )
    source = OmegaConf.to_container(config.data.source, resolve=True)
    assert isinstance(source, dict)
    layout = Layout(**{field.name: source[field.name] for field in fields(Layout)})
    part = _part(config.part)
    embedder = Embedder.load(config.checkpoint, config.batch_size, _device(config), config.precision)
    inputs = find_inputs(
        config.input,
        layout,
        source["participant"],
        source["lenient"],
        embedder.window_s,
        config.data.verify,
        source["files"],
    )
    output, stamped = Path(config.output), all(one.stamped for one in inputs)  # all parts need the same type of starts
    if part is not None:
        inputs = list(part.share(inputs))
        output = output.with_name(f"{output.stem}.{part.folder}{output.suffix}")
    embed_files(
        embedder,
        inputs,
        output,
        config.stride_s,
        layout.max_gap_s,
        config.overwrite,
        stamped,
        config.num_workers,
        config.on_bad_file,
    )


def _part(text: str | None) -> Part | None:
    if text is None:
        return None
    return Part.of_rank(os.environ) if text == "rank" else Part.parse(str(text))


def _device(config: DictConfig) -> str:
    """Device of this process; several processes on a machine use different GPUs."""
    if config.part == "rank" and config.device == "auto" and torch.cuda.is_available():
        local = os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0"))
        return f"cuda:{int(local) % torch.cuda.device_count()}"
    return str(config.device)


if __name__ == "__main__":  # python -m, as torchrun starts it
    commands.embed()
