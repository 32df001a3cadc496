"""``relcon-embed``: one embedding for each window of recordings."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from relcon_lightning.data.sources.inputs import find_inputs
from relcon_lightning.data.sources.table_layout import Layout
from relcon_lightning.embed import Embedder
from relcon_lightning.embed.files import embed_files
from relcon_lightning.errors import ConfigError


def main(config: DictConfig) -> None:
    """Embed the recordings of ``input=...`` with the encoder of ``checkpoint=...``."""
    if Path(config.output).resolve().is_relative_to(Path(config.input).resolve()):
        raise ConfigError(f"output={config.output} lies in input={config.input} and would be read as a recording.")
    source = OmegaConf.to_container(config.data.source, resolve=True)
    assert isinstance(source, dict)
    layout = Layout(**{field.name: source[field.name] for field in fields(Layout)})
    embedder = Embedder.load(config.checkpoint, config.batch_size, config.device, config.precision)
    inputs = find_inputs(
        config.input,
        layout,
        source["participant"],
        source["lenient"],
        embedder.window_s,
        config.data.verify,
        source["files"],
    )
    embed_files(embedder, inputs, config.output, config.stride_s, layout.max_gap_s, config.overwrite)
