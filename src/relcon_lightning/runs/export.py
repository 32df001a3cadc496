"""Export an encoder to a folder in the Hugging Face layout, which can be loaded without running code from it."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import yaml
from jinja2 import Environment, StrictUndefined
from safetensors.torch import save
from torch import Tensor, nn

from relcon_lightning.errors import ConfigError
from relcon_lightning.markdown import inline
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.checkpoint_files import write_exported
from relcon_lightning.runs.checkpoint_paths import check_replaceable

log = logging.getLogger(__name__)

_DYNAMIC = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO}  # windows of a batch, samples of a window
_TOLERANCE = 1e-4
_PUBLIC = ("- Trained:", "- Version:", "- Data:", "- Probe:", "- Folds:")  # published facts; others may name people


def export(
    checkpoint: str | Path,
    folder: str | Path,
    onnx: bool = False,
    torch_export: bool = False,
    results: str | Path | None = None,
    license: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Export the encoder of a run with everything that is needed to use it.

    The folder contains ``model.safetensors`` (weights), ``config.json`` (architecture, sampling rate, window, training,
    salted hashes of participants), ``README.md`` (model card) and, on request, ``encoder.onnx`` and ``encoder.pt2``.
    The latter two accept any number and length of windows, and are compared with the encoder.

    Args:
        checkpoint: Checkpoint, or folder of a run.
        folder: Output folder, created when its content is complete.
        onnx: Also write ``encoder.onnx`` (extra ``onnx``).
        torch_export: Also write ``encoder.pt2``.
        results: A ``report.md``, whose tables become part of the card.
        license: Licence of the weights, with Hugging Face's name for it (``apache-2.0``).
        overwrite: Replace an encoder that was exported to this folder.

    Raises:
        ConfigError: There is no such checkpoint or report, the folder exists and may not be replaced, or the extra is
            missing.
    """
    folder = Path(folder)
    folder = folder.resolve() if folder.is_symlink() else folder  # replace the target of a link, not the link
    check_replaceable(folder, overwrite)
    if results is not None and not Path(results).is_file():
        raise ConfigError(f"There is no report at {results}: give the report.md of an evaluation.")
    source = Checkpoint.read(checkpoint)
    encoder = source.encoder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        weights = {f"encoder.{name}": value.contiguous() for name, value in encoder.state_dict().items()}
        packed = save(weights, metadata={"format": "pt"})
        entry = _published(source)
        write_exported(made, entry, packed)
        report = _results(Path(results).read_text("utf-8")) if results is not None else None
        (made / "README.md").write_text(_card(entry, encoder, report, license), "utf-8")
        if onnx or torch_export:
            program = _program(encoder, entry)
        if onnx:
            _write_onnx(program, encoder, made / "encoder.onnx", entry)
        if torch_export:
            _write_program(program, encoder, made / "encoder.pt2", entry)
        made.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        made.replace(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def push_to_hub(folder: str | Path, repository: str, private: bool = True) -> str:
    """Upload an exported folder. Log in first (``hf auth login``).

    Args:
        folder: Folder made by :func:`export`.
        repository: ``owner/name`` on the Hugging Face Hub; created if it does not exist.
        private: True: a new repository is private.

    Returns:
        Address of the repository.

    Raises:
        ConfigError: The extra ``hub`` is missing, or the Hub refuses the upload.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise ConfigError("push_to_hub needs: pip install 'relcon-lightning[hub]'.") from error
    api = HfApi()
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder)
    except (OSError, ValueError) as error:  # errors of huggingface_hub are subclasses of these
        raise ConfigError(f"{repository} cannot be uploaded: {error}") from error
    return str(address)


def _published(checkpoint: Checkpoint) -> dict[str, Any]:
    """Provenance of a checkpoint, without paths of the machine on which it was trained."""
    config = checkpoint.config
    data = {key: config["data"][key] for key in ("name", "sampling_rate", "window_s")}
    model = {key: config["model"][key] for key in ("name", "learning_rate", "temperature") if key in config["model"]}
    kept = {
        "seed": config["seed"],
        "data": data,
        "model": model | {"method": {"encoder": checkpoint.encoder_config}},
        "trainer": {"max_steps": config["trainer"]["max_steps"]},
    }
    parts = [asdict(part) | {"config": _origin(part.config)} for part in checkpoint.built_from]
    return {**checkpoint.entry, "config": kept, "built_from": parts, "steps": checkpoint.step}


def _origin(config: dict[str, Any]) -> dict[str, Any]:
    """Description of a checkpoint from which the run started."""
    return {
        "seed": config["seed"],
        "data": {"name": config["data"]["name"]},
        "model": {"name": config["model"]["name"]},
    }


def _card(entry: dict[str, Any], encoder: nn.Module, report: str | None, license: str | None) -> str:
    template = files("relcon_lightning.runs").joinpath("card.md.j2").read_text("utf-8")
    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: value if isinstance(value, _Markdown) else inline(value),
    )
    tags = ["accelerometer", "wearables", "self-supervised", " ".join(str(entry["config"]["model"]["name"]).split())]
    head = {"library_name": "relcon-lightning", "tags": tags} | ({"license": license} if license else {})
    return environment.from_string(template).render(
        head=_Markdown(yaml.safe_dump(head, sort_keys=False, allow_unicode=True)),
        entry=entry,
        config=entry["config"],
        data=entry.get("data"),
        parameters=sum(p.numel() for p in encoder.parameters()),
        dim=encoder.dim,
        report=None if report is None else _Markdown(report),
    )


class _Markdown(str):
    """Text that is inserted into the card without escaping."""


def _results(report: str) -> str:
    """Convert a report to a part of the card, without figures, names of participants and paths."""
    head, heading, tables = report.partition("\n## ")
    facts = [line for line in head.splitlines() if line.startswith(_PUBLIC)]
    title = [line for line in head.splitlines()[:1] if line.startswith("# ")]
    lines = ["\n\n".join(title), "", *facts, "", *(heading + tables).strip("\n").splitlines()]
    text = "\n".join(f"##{line}" if line.startswith("#") else line for line in lines if not line.startswith("!["))
    return re.sub(r"\n{3,}", "\n\n", text).strip().replace("<", "&lt;")  # reports of this version escape it


def _example(entry: dict[str, Any]) -> Tensor:
    data = entry["config"]["data"]
    return torch.randn(2, 3, round(data["window_s"] * data["sampling_rate"]))


def _program(encoder: nn.Module, entry: dict[str, Any]) -> torch.export.ExportedProgram:
    return torch.export.export(encoder.eval(), (_example(entry),), dynamic_shapes=(_DYNAMIC,))


def _write_program(
    program: torch.export.ExportedProgram, encoder: nn.Module, path: Path, entry: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about weights on several devices
        torch.export.save(program, path)
    _check(torch.export.load(path).module(), encoder, path, entry)


def _write_onnx(program: torch.export.ExportedProgram, encoder: nn.Module, path: Path, entry: dict[str, Any]) -> None:
    try:
        import onnxruntime  # type: ignore[import-untyped]
        import onnxscript  # noqa: F401, torch needs it
    except ImportError as error:
        raise ConfigError("onnx=true needs: pip install 'relcon-lightning[onnx]'.") from error
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.onnx.export(
            program, dynamo=True, verbose=False, input_names=["windows"], output_names=["embeddings"]
        )
    assert made is not None
    made.save(path)
    session = onnxruntime.InferenceSession(path)
    _check(lambda x: torch.from_numpy(session.run(None, {"windows": x.numpy()})[0]), encoder, path, entry)


def _check(found: Callable[[Tensor], Tensor], encoder: nn.Module, path: Path, entry: dict[str, Any]) -> None:
    """Compare an exported model with the encoder, on random batches of several sizes and window lengths."""
    window = _example(entry).shape[-1]
    for count, time in ((1, window), (7, window), (3, 2 * window + 1)):
        x = torch.randn(count, 3, time)
        with torch.no_grad():
            difference = float((found(x) - encoder(x)).abs().max())
        if difference > _TOLERANCE:
            raise ConfigError(f"{path.name} differs from the encoder by {difference:.2g} on {count} windows of {time}.")
