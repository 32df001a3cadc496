"""Directives of these pages: ``command-help`` shows the help of a command, ``run-values`` the values of a run."""

from __future__ import annotations

import re

import yaml
from docutils import nodes
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from relcon_lightning.cli.app import config_folder
from relcon_lightning.cli.usage import help_text

DATA = ("sampling_rate", "window_s", "n_candidates", "batch_size", "participants_per_batch")
TRAINER = ("accelerator", "devices", "num_nodes", "strategy", "precision", "max_steps", "val_check_interval")


def markdown(text: str) -> str:
    """Paragraphs that are indented become code blocks; a line such as ``Values:`` becomes a bold line."""
    blocks = []
    for block in re.split(r"\n\s*\n(?=\S)|(?<=\S)\n\s*\n(?=  )", text.strip("\n")):
        if block.startswith("  "):
            language = "bash" if block.startswith("  relcon-") else "yaml"
            language = "text" if re.match(r"  \w+ {2,}", block) else language
            if language == "bash":  # so that a line can be pasted with its explanation
                block = re.sub(r"(?<=\S)( {4,})(?=\S)", r"\1# ", block)
            blocks.append(f"```{language}\n{re.sub('^  ', '', block, flags=re.M)}\n```")
        else:
            blocks.append(f"**{block.removesuffix(':')}**" if re.fullmatch(r"[^\n]+:", block) else block)
    return "\n\n".join(blocks)


class CommandHelp(SphinxDirective):
    """``command-help`` with the name of a file of ``conf/`` as its argument."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The nodes of the help."""
        self.env.note_dependency(f"{config_folder()}/{self.arguments[0]}.yaml")
        return self.parse_text_to_nodes(markdown(help_text(config_folder(), self.arguments[0])))


def run_values(overrides: list[str]) -> str:
    """The values of a pre-training that decide its result, as YAML: with overrides such as ``preset=gpu``."""
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose("pretrain", ["run_dir=RUN", "model.distance_checkpoint=PATH", *overrides])
    content = OmegaConf.to_container(config, resolve=True)
    kept = {
        "method": {key: value for key, value in content["model"]["method"].items() if key != "seed"},
        "data": {key: value for key, value in content["data"].items() if key in DATA},
        "trainer": {key: value for key, value in content["trainer"].items() if key in TRAINER},
    }
    return str(yaml.safe_dump(kept, sort_keys=False))


class RunValues(SphinxDirective):
    """``run-values`` with the overrides of a run as its argument."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """A block of YAML."""
        return self.parse_text_to_nodes(f"```yaml\n{run_values(self.arguments[0].split())}```")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("command-help", CommandHelp)
    app.add_directive("run-values", RunValues)
    return {"parallel_read_safe": True}
