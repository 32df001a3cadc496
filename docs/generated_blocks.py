"""Write the blocks of ``commands.md`` and ``runs.md`` that are generated: ``python docs/generated_blocks.py``.

The pages hold the text itself, so that they can be read in the repository as well as on the site. A block stands
between ``<!-- help: COMMAND -->`` or ``<!-- values: OVERRIDES -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from relcon_lightning.cli.app import config_folder
from relcon_lightning.cli.usage import help_text

PAGES = [Path(__file__).with_name(name) for name in ("commands.md", "runs.md")]
DATA = ("sampling_rate", "window_s", "n_candidates", "batch_size", "participants_per_batch")
TRAINER = ("accelerator", "devices", "num_nodes", "strategy", "precision", "max_steps", "val_check_interval")
_BLOCK = re.compile(r"(?P<begin><!-- (?P<kind>help|values): (?P<what>.+?) -->\n).*?(?P<end><!-- end -->)", re.S)


def help_block(entry: str) -> str:
    """The help of a command: indented paragraphs as code blocks, a line such as ``Values:`` in bold."""
    blocks = []
    for block in re.split(r"\n\s*\n(?=\S)|(?<=\S)\n\s*\n(?=  )", help_text(config_folder(), entry).strip("\n")):
        if block.startswith("  "):
            language = "bash" if block.startswith(("  relcon-", "  torchrun ")) else "yaml"
            language = "text" if re.match(r"  \w+ {2,}", block) else language
            if language == "bash":  # so that a line can be pasted with its explanation
                block = re.sub(r"(?<=\S)( {4,})(?=\S)", r"\1# ", block)
            blocks.append(f"```{language}\n{re.sub('^  ', '', block, flags=re.M)}\n```")
        else:
            blocks.append(f"**{block.removesuffix(':')}**" if re.fullmatch(r"[^\n]+:", block) else block)
    return "\n\n".join(blocks)


def values_block(overrides: str) -> str:
    """The values of a pre-training that decide its result, with overrides such as ``preset=gpu model=relcon``."""
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose("pretrain", ["run_dir=RUN", "model.distance_checkpoint=PATH", *overrides.split()])
    content = OmegaConf.to_container(config, resolve=True)
    kept = {
        "method": {key: value for key, value in content["model"]["method"].items() if key != "seed"},
        "data": {key: value for key, value in content["data"].items() if key in DATA},
        "trainer": {key: value for key, value in content["trainer"].items() if key in TRAINER},
    }
    return f"```yaml\n{yaml.safe_dump(kept, sort_keys=False)}```"


def generated(page: str) -> str:
    """A page with its blocks generated again."""

    def block(found: re.Match[str]) -> str:
        text = {"help": help_block, "values": values_block}[found["kind"]](found["what"])
        return f"{found['begin']}\n{text}\n\n{found['end']}"

    return _BLOCK.sub(block, page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(generated(path.read_text("utf-8")), "utf-8")
