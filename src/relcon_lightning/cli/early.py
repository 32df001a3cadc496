"""Checks of a command's values that need no torch, so that a mistake is reported before torch is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import has_magic
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from relcon_lightning.errors import ConfigError, no_input, taken
from relcon_lightning.runs.checkpoint_paths import LAST, reads_checkpoint, require, require_distance

Check = Callable[[DictConfig], None]
_TRACES = {".hydra", "wandb_id"}  # written before a command starts its work


def pretrain(config: DictConfig) -> None:
    """Check the folder of a run and the distance that it starts from.

    Raises:
        ConfigError: There is a run in the folder, or there is no distance at the path.
    """
    folder = Path(config.run_dir)
    if (folder / LAST).exists() and not (config.overwrite or config.resume):
        raise ConfigError(
            f"{folder} already contains a run. Choose another name=..., resume it with resume=auto, or replace it with "
            "overwrite=true."
        )
    ranking = OmegaConf.select(config, "model.method.distance")
    if reads_checkpoint(ranking):
        require_distance(ranking.checkpoint)


def evaluate(config: DictConfig) -> None:
    """Check the seeds, and that there is something to evaluate.

    Raises:
        ConfigError: A seed is invalid, or there is no checkpoint at a path.
    """
    from relcon_lightning.data.splits import checked_seeds

    checked_seeds(config.seeds)
    asked = config.checkpoint
    if not asked:
        raise ConfigError("checkpoint= is empty: give a checkpoint file, a run folder, or open-wrist-small.")
    for one in [asked] if isinstance(asked, str) else asked:
        if not has_magic(str(one)):
            require(str(one))


def export(config: DictConfig) -> None:
    """Check the checkpoint and the output folder.

    Raises:
        ConfigError: There is no checkpoint, or the output exists.
    """
    require(str(config.checkpoint))
    if Path(config.to).exists() and not config.overwrite:
        raise taken(config.to, "to")


def embed(config: DictConfig) -> None:
    """Check the paths of the input, the checkpoint and the output.

    Raises:
        ConfigError: There is no checkpoint; or the output exists and is not that of a run that left out recordings.
        DataError: There is no input.
    """
    require(str(config.checkpoint))
    source, output = str(config.input), Path(config.output)
    if "://" not in source and not Path(source).exists():
        raise no_input(source)
    if config.part is None and output.exists() and not config.overwrite:
        from relcon_lightning.embed.output import is_incomplete

        if not is_incomplete(output):
            raise taken(output, "output")


@contextmanager
def without_traces() -> Iterator[None]:
    """Remove the output folder of a job that failed before it wrote any results."""
    try:
        yield
    except Exception:
        hydra = HydraConfig.get()
        if hydra.output_subdir is not None:
            with suppress(OSError):  # another rank removes it
                _remove(Path(hydra.runtime.output_dir), Path.cwd())
        raise


def _remove(folder: Path, root: Path) -> None:
    if folder == root or not folder.is_dir() or {path.name for path in folder.iterdir()} - _TRACES:
        return
    for path in [*(folder / ".hydra").glob("*.yaml"), folder / "wandb_id"]:
        path.unlink(missing_ok=True)
    for empty in (folder / ".hydra", folder, *(p for p in folder.parents if root in p.parents)):
        try:
            empty.rmdir()
        except FileNotFoundError:
            continue
        except OSError:  # not empty
            return
