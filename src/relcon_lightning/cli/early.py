"""Checks of a command's values that need no torch, so that a mistake is reported before torch is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import has_magic
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from relcon_lightning.errors import ConfigError, no_input, taken
from relcon_lightning.runs.checkpoint_paths import check_replaceable, reads_checkpoint, require, require_distance

Check = Callable[[DictConfig], None]
_TRACES = {".hydra", "wandb_id"}  # written before a command starts its work
_OF_A_RUN = {"checkpoints", "csv", "run.json", "split.json", "wandb", "not_finite", ".replaced", ".replaced.moving"}


def pretrain(config: DictConfig) -> None:
    """Check the folder of a run, its seed and length, and the distance that it starts from.

    Raises:
        ConfigError: There is a run or something else in the folder, the seed or the number of steps is invalid, or
            there is no distance at the path.
    """
    _check_seed(config.seed)
    steps = config.trainer.max_steps
    if not isinstance(steps, int) or isinstance(steps, bool) or not (steps > 0 or steps == -1):
        raise ConfigError(f"trainer.max_steps={steps}: expected a whole number above 0, or -1 for no limit.")
    folder = Path(config.run_dir)
    if _has_run(folder) and not (config.overwrite or config.resume):
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
    check_replaceable(config.to, config.overwrite)


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


def _check_seed(seed: object) -> None:
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ConfigError(f"seed={seed}: expected a whole number from 0 to 4294967295.")


def _has_run(folder: Path) -> bool:
    """True if a folder has checkpoints, or links to some.

    Raises:
        ConfigError: The folder contains something else.
    """
    if any(folder.glob("checkpoints/*.ckpt")) or any(folder.glob(".replaced*/checkpoints/*.ckpt")):
        return True
    found = {path.name for path in folder.iterdir()} - _TRACES if folder.is_dir() else set()
    if found and not found & _OF_A_RUN:
        raise ConfigError(f"{folder} contains {min(found)!r} and no run: choose another name=... or folder=...")
    return False


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
