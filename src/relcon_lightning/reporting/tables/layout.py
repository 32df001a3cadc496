"""The paper's tables in the paper's layout, with our numbers next to the published ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from relcon_lightning.downstream.metrics import CLASSIFICATION, REGRESSION
from relcon_lightning.downstream.statistics import comparison_table
from relcon_lightning.downstream.systems import HANDCRAFTED, HANDCRAFTED_LINEAR, MEAN, NORMALISED, RANDOM
from relcon_lightning.reporting.report import words
from relcon_lightning.reporting.tables.plan import ABLATIONS, BENCHMARK, LOSSES, MAIN, SUPERVISED
from relcon_lightning.reporting.tables.published import quoted
from relcon_lightning.reporting.tables.results import Results

Found = Mapping[str, Results]
Tables = dict[str, pd.DataFrame]

QUOTED = "{}, quoted"
TITLES = {
    "simclr": "SimCLR",
    "augpred": "Aug Pred",
    "rebar": "REBAR",
    "relcon": "RelCon",
    "simsiam": "SimSiam",
    "byol": "BYOL",
    "mae": "MAE",
    "cpc": "CPC",
    "autoencoder": "Autoencoder",
    "deepconvlstm": "DeepConvLSTM",
    "conv classifier": "Conv classifier",
    "LSTM classifier": "LSTM classifier",
    "no_augmentation": "w/o Augmentations",
    "no_revin": "w/o RevIN",
    "softmax": "w/o SparseMax",
    "no_within_user": "w/o Sampling Within-Subject",
    "log_ratio": "w/ Softer Metric Loss (Kim et al., 2019)",
}
BASELINES = (RANDOM, NORMALISED, HANDCRAFTED_LINEAR, HANDCRAFTED, MEAN)
RULE = "Baselines (ours)"
_PRINTED = ("mse", "sdse", "mae", "sdae", "r")
_FINE = ("f1", "kappa", "accuracy", "auc")
_COLUMNS = {  # columns of Tables 5 and 6: heading, evaluation, level, metric, percent
    "velocity": ("Velocity, corr", "gait", "stride_velocity", "r", False),
    "support": ("DST, corr", "gait", "double_support", "r", False),
    "window": ("Subsequence F1", "workout", "window", "f1", True),
    "workout": ("Workout F1", "workout", "recording", "f1", True),
    "hhar": ("HHAR F1", "hhar", "window", "f1", True),
    "pamap2": ("PAMAP2 MLP F1", "pamap2", "window", "f1", True),
}


def cell(value: tuple[float, float] | None, decimals: int, percent: bool = False) -> str:
    """``mean ± std`` with a number of decimals; a dash if it was not measured."""
    if value is None:
        return "-"
    mean, std = (100 * x if percent else x for x in value)
    return f"{mean:.{decimals}f}" + ("" if math.isnan(std) else f" ± {std:.{decimals}f}")


def table1(found: Found) -> Tables:
    """One table per target: errors of participants' averages, with four decimals."""
    gait = found.get("gait")
    units = {"stride_velocity": "m/s", "double_support": "s"} if gait is None else gait.evaluation.units
    made = {}
    for level, unit in units.items():
        columns = {name: REGRESSION[name] for name in _PRINTED}

        def ours(row: str, metric: str, level: str = level) -> str:
            return cell(_of(gait, row, level, metric), 4)

        made[f"{words(level)}, {unit}"] = _with_quoted(MAIN, columns, ours, ("table1", level))
    return made


def table2(found: Found) -> Tables:
    """Subsequence (window) and workout level; F1, kappa and accuracy in percent."""
    workout = found.get("workout")
    made = {}
    for level, heading in (("window", "Subsequence level"), ("recording", "Workout level")):
        columns = {name: CLASSIFICATION[name] for name in _FINE}

        def ours(row: str, metric: str, level: str = level) -> str:
            percent = metric != "auc"
            return cell(_of(workout, row, level, metric), 2 if percent else 4, percent)

        made[heading] = _with_quoted(MAIN, columns, ours, ("table2", level))
    return made


def table3(found: Found) -> Tables:
    """Probe, fine-tuning and training from scratch, next to Yuan et al. (2024)."""
    return {"Opportunity and PAMAP2, wrist": _probes(found, "table3", "relcon", "256 dim", scratch=True)}


def table7(found: Found) -> Tables:
    """Table 3 with a ResNet-18 and embeddings of 1024 dimensions."""
    return {"ResNet-18, 1024 dim": _probes(found, "table7", "resnet18", "1024 dim", scratch=False)}


def table4(found: Found) -> Tables:
    """Macro F1 in percent of eight self-supervised methods and three supervised networks."""
    sets = {"hhar": "HHAR (wrist)", "motionsense": "MotionSense (waist)", "pamap2": "PAMAP2 (leg)"}
    groups = {"Self-supervised, frozen embedding + linear probe": BENCHMARK, "Fully supervised": SUPERVISED}
    rows: list[tuple[str, dict[str, str]]] = []
    for heading, systems in {**groups, RULE: _baselines(found)}.items():
        rows.append((heading, {}))
        for row in systems:
            cells = {}
            for name, title in sets.items():
                cells[f"{title} F1"] = cell(_of(found.get(name), row, None, "f1"), 2, percent=True)
                cells[QUOTED.format(f"{title} F1")] = quoted("table4", row, name)
            rows.append((TITLES.get(row, row), cells))
    return {"Macro F1, %": _table(rows)}


def table5(found: Found) -> Tables:
    """Change of the results by each ablation."""
    return {"Ablations of RelCon": _changes(found, ABLATIONS, "table5", list(_COLUMNS))}


def table6(found: Found) -> Tables:
    """Change of the results by another loss."""
    columns = ["velocity", "support", "window", "workout"]
    made = _changes(found, LOSSES, "table6", columns)
    return {"Losses": made.rename(index={TITLES["rebar"]: "w/ Harder Binary Contrastive Loss (Xu et al., 2024)"})}


LAYOUTS: dict[str, Callable[[Found], Tables]] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "table6": table6,
    "table7": table7,
}


def comparisons(found: Found) -> Tables:
    """Uncertainty of differences, by evaluation and level: a bootstrap over people, with draws shared by systems."""
    made = {}
    for part, results in found.items():
        predictions = results.evaluation.predictions
        titles = {system: TITLES.get(run, run) for run, system in results.names.items()}
        first = results.names.get("relcon")
        for level, own in predictions.groupby("level", sort=False):
            if first is not None:  # put first the system that the others are compared with
                own = pd.concat([own[own["system"] == first], own[own["system"] != first]])
            table = comparison_table(own.replace({"system": titles}), draws=1000)
            made[f"{words(part)}, {words(str(level))}: paired 95 % intervals over people"] = table
    return made


def _of(results: Results | None, row: str, level: str | None, metric: str) -> tuple[float, float] | None:
    """Mean and std of a metric: over seeds at a level, over folds if ``level`` is None; None if not evaluated."""
    if results is None:
        return None
    return results.over_folds(row, metric) if level is None else results.over_seeds(row, level, metric)


def _with_quoted(
    rows: Sequence[str], columns: Mapping[str, str], ours: Callable[[str, str], str], place: tuple[str, ...]
) -> pd.DataFrame:
    """Our metrics, each with the published number to its right; baselines are below a rule."""
    made: list[tuple[str, dict[str, str]]] = []
    for row in rows:
        cells = {}
        for metric, title in columns.items():
            cells[title] = ours(row, metric)
            cells[QUOTED.format(title)] = quoted(*place, row, metric)
        made.append((TITLES[row], cells))
    made.append((RULE, {}))
    for row in BASELINES:
        cells = {title: ours(row, metric) for metric, title in columns.items()}
        if any(value != "-" for value in cells.values()):
            made.append((row, cells))
    return _table(made)


def _probes(found: Found, place: str, run: str, size: str, scratch: bool) -> pd.DataFrame:
    probes = ["MLP probe", "fine-tuned", *(["from scratch"] if scratch else [])]
    rows: list[tuple[str, dict[str, str]]] = []
    for probe in probes if scratch else probes[::-1]:
        ours = {"MLP probe": run, "fine-tuned": f"{run}, fine-tuned", "from scratch": "from scratch"}[probe]
        rows.append((f"RelCon ({size}), {probe}", _of_sets(found, probe, ours, place, f"relcon, {probe}")))
        rows.append((f"Yuan et al. (2024), {probe}", _of_sets(found, probe, None, place, f"yuan, {probe}")))
    rows.append((RULE, {}))
    for baseline in (RANDOM, NORMALISED, HANDCRAFTED):
        rows.append((baseline, _of_sets(found, "MLP probe", baseline, place, baseline)))
    return _table(rows)


def _of_sets(found: Found, probe: str, row: str | None, place: str, printed: str) -> dict[str, str]:
    cells = {}
    for name, title in {"opportunity": "Opportunity", "pamap2": "PAMAP2"}.items():
        own = found.get(f"{name}, {'MLP probe' if probe == 'MLP probe' else 'fine-tuned'}")
        for metric, short in (("f1", "F1"), ("kappa", "Kappa")):
            system = row
            if own is not None and row is not None and row.endswith(", fine-tuned"):
                system = f"{own.system(row.removesuffix(', fine-tuned'))}, fine-tuned"
            value = own.over_folds(system, metric) if own is not None and system is not None else None
            cells[f"{title} {short}"] = cell(value, 1, percent=True)
            cells[QUOTED.format(f"{title} {short}")] = quoted(place, printed, name, metric)
    return cells


def _changes(found: Found, systems: Sequence[str], place: str, columns: Sequence[str]) -> pd.DataFrame:
    """The first row in numbers; the other rows and the baselines as changes from it in percent."""
    rows: list[tuple[str, dict[str, str]]] = []
    for row in [*systems, RULE, *_baselines(found)]:
        cells = {}
        for column in columns if row != RULE else ():
            title, part, level, metric, percent = _COLUMNS[column]
            by = None if part in ("hhar", "pamap2") else level  # folds, or seeds
            full, value = (_of(found.get(part), name, by, metric) for name in (systems[0], row))
            if row == systems[0]:
                cells[title] = "-" if full is None else f"{100 * full[0]:.2f}" if percent else f"{full[0]:.4f}"
            else:
                cells[title] = change(full, value)
            printed = quoted(place, row, column)
            cells[QUOTED.format(title)] = printed if row == systems[0] or printed == "-" else f"{printed}%"
        rows.append((TITLES.get(row, row), cells))
    return _table(rows)


def change(full: tuple[float, float] | None, value: tuple[float, float] | None) -> str:
    """Change of a mean from that of the full method, in percent."""
    if full is None or value is None or full[0] == 0:
        return "-"
    return f"{100 * (value[0] / full[0] - 1):+.2f}%"


def _baselines(found: Found) -> list[str]:
    """Names of the baselines that an evaluation contains."""
    judged = {system for results in found.values() for system in results.evaluation.scores["system"].unique()}
    return [name for name in BASELINES if name in judged]


def _table(rows: Sequence[tuple[str, Mapping[str, str]]]) -> pd.DataFrame:
    columns = list(dict.fromkeys(name for _, cells in rows for name in cells))
    table = pd.DataFrame([[cells.get(name, "") for name in columns] for _, cells in rows], columns=columns)
    return table.set_axis([name for name, _ in rows])
