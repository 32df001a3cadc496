"""A W&B workspace that compares methods, planned from the runs on disk and built with wandb's library."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from relcon_lightning.errors import ConfigError

_PROGRESS = {"epoch", "step"}
_GROUP = "model.name"
_DEPTH = 6  # eval/<data>/<task>/<probe>/<level>/<metric>/<system>, as relcon-eval logs


@dataclass(frozen=True)
class Panel:
    """Curves over steps (``line``), or one bar per metric (``bar``).

    Attributes:
        kind: ``line`` or ``bar``.
        title: Title of the panel.
        metrics: Logged keys.
    """

    kind: str
    title: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """Panels with a heading."""

    name: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """Plan of a workspace.

    Attributes:
        project: Project in W&B.
        name: Name of the workspace.
        group_by: Key of the runs' configuration; runs with the same value are averaged.
        sections: Sections in display order.
    """

    project: str
    name: str
    group_by: str
    sections: tuple[Section, ...]

    def describe(self) -> list[str]:
        """Readable text with one line per panel."""
        lines = [f"Workspace {self.name!r} of project {self.project}, runs grouped by {self.group_by}:"]
        for section in self.sections:
            lines.append(f"  {section.name}")
            lines += [f"    {panel.title} ({panel.kind}): {', '.join(panel.metrics)}" for panel in section.panels]
        return lines

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")


def plan(logs: Sequence[str], project: str, name: str) -> Dashboard:
    """Plan the dashboard of the runs and evaluations in some folders.

    Each training metric has one panel, with training and validation together. Each data set has a section with its
    evaluations: one panel per task, probe, level and metric, with one bar per system.

    Args:
        logs: Folders that are searched for ``**/csv/metrics.csv``.
        project: Project in W&B.
        name: Name of the workspace.

    Raises:
        ConfigError: There are no logs.
    """
    keys = {key for folder in logs for key in _logged(folder)}
    if not keys:
        raise ConfigError(f"No run below {' or '.join(logs)} has logged anything (csv/metrics.csv): train one first.")
    curves: dict[str, list[str]] = {}
    bars: dict[str, dict[str, list[str]]] = {}
    for key in sorted(keys):
        parts = key.split("/")
        if parts[0] == "eval" and len(parts) > _DEPTH:
            task, probe, level, metric = parts[2:_DEPTH]
            panel = f"{task}: {metric} by {level}, {probe}"
            bars.setdefault(parts[1], {}).setdefault(panel, []).append(key)
        elif parts[0] in ("train", "val"):
            curves.setdefault("/".join(parts[1:]), []).append(key)
        else:
            curves.setdefault(key, []).append(key)
    sections = []
    if curves:
        lines = [Panel("line", title, tuple(own)) for title, own in curves.items()]
        sections.append(Section("Training", tuple(lines)))
    for data, panels in bars.items():
        sections.append(Section(f"Evaluation on {data}", tuple(Panel("bar", t, tuple(k)) for t, k in panels.items())))
    return Dashboard(project, name, _GROUP, tuple(sections))


def _logged(folder: str) -> set[str]:
    keys: set[str] = set()
    for path in Path(folder).rglob("csv/metrics.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            keys |= set(next(csv.reader(file), []))
    return keys - _PROGRESS


def build(dashboard: Dashboard, entity: str) -> Any:
    """Create the workspace with wandb's library, without saving it.

    Raises:
        ConfigError: wandb-workspaces is not installed.
    """
    try:
        panels: Any = import_module("wandb_workspaces.reports.v2")
        workspaces: Any = import_module("wandb_workspaces.workspaces")
    except ImportError as error:
        raise ConfigError(
            f"relcon-dashboard needs wandb-workspaces ({error}): pip install 'relcon-lightning[dashboard]'."
        ) from error

    def drawn(panel: Panel) -> Any:
        if panel.kind == "bar":
            return panels.BarPlot(title=panel.title, metrics=list(panel.metrics))
        return panels.LinePlot(title=panel.title, x="trainer/global_step", y=list(panel.metrics))

    sections = [
        workspaces.Section(name=section.name, panels=[drawn(panel) for panel in section.panels], is_open=True)
        for section in dashboard.sections
    ]
    grouped = workspaces.RunsetSettings(groupby=[workspaces.Config(dashboard.group_by)])
    return workspaces.Workspace(
        entity=entity, project=dashboard.project, name=dashboard.name, sections=sections, runset_settings=grouped
    )
