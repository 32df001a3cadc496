"""The runs and evaluations that each table and figure of the paper needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from relcon_lightning.errors import ConfigError

MAIN = ("simclr", "augpred", "rebar", "relcon")  # in the order of the paper's tables
BENCHMARK = ("relcon", "augpred", "simclr", "simsiam", "byol", "mae", "cpc", "autoencoder")
SUPERVISED = ("deepconvlstm", "conv classifier", "LSTM classifier")
ABLATIONS = ("relcon", "no_augmentation", "no_revin", "softmax", "no_within_user")
LOSSES = ("relcon", "log_ratio", "rebar")
_PROBES = {"mlp": "MLP probe", "finetune": "fine-tuned"}


@dataclass(frozen=True)
class Run:
    """A pre-training of one method.

    Attributes:
        folder: Folder below that of the cohort's runs; it contains one folder per seed.
        overrides: Arguments of ``relcon-pretrain --config-dir experiments``.
        distance: Name of the run whose distance ranks the windows; None: no such run.
    """

    folder: str
    overrides: tuple[str, ...]
    distance: str | None = None


@dataclass(frozen=True)
class Judgement:
    """An evaluation of several runs.

    Attributes:
        name: Name of its folder.
        systems: Runs to evaluate, by name in :data:`RUNS`.
        overrides: Arguments of ``relcon-eval --config-dir experiments``, which name the task; empty if the command
            line names it.
    """

    name: str
    systems: tuple[str, ...]
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A table or figure.

    Attributes:
        title: Title in the paper.
        judgements: Evaluations by the part of the page that they fill.
    """

    title: str
    judgements: dict[str, Judgement]

    @property
    def runs(self) -> list[str]:
        """Names of the evaluated runs, each after the distance that it needs."""
        judged = [name for judgement in self.judgements.values() for name in judgement.systems]
        needed = [part for name in judged for part in (RUNS[name].distance, name) if part is not None]
        return list(dict.fromkeys(sorted(needed, key=lambda name: not name.startswith("distance"))))


def _method(name: str, distance: str | None = None) -> Run:
    return Run(f"methods/{name}", ("+methods=pretrain", f"model={name}"), distance)


RUNS = {
    **{name: _method(name) for name in ("distance", "simclr", "augpred", *BENCHMARK[3:])},
    **{name: _method(name, "distance") for name in ("relcon", "rebar")},
    **{
        f"distance_{name}": Run(f"table5/distance/{name}", (f"+table5/distance={name}",))
        for name in ("no_augmentation", "no_revin", "softmax")
    },
    **{
        name: Run(f"table5/relcon/{name}", (f"+table5/relcon={name}",), f"distance_{name}")
        for name in ("no_augmentation", "no_revin", "softmax")
    },
    "no_within_user": Run("table5/relcon/no_within_user", ("+table5/relcon=no_within_user",), "distance"),
    "log_ratio": Run("table6/log_ratio", ("+table6=losses", "loss=log_ratio"), "distance"),
    "resnet18": Run("table7/resnet18", ("+table7=resnet18",), "distance"),
}


def _probed(systems: tuple[str, ...], part: str) -> dict[str, Judgement]:
    """Opportunity and PAMAP2 on the wrist, each with both probes."""
    return {
        f"{name}, {label}": Judgement(f"{part}_{name}_{probe}", systems, (f"+table3={name}_{probe}",))
        for name in ("opportunity", "pamap2")
        for probe, label in _PROBES.items()
    }


_GAIT, _WORKOUT = (Judgement(name, MAIN) for name in ("gait", "workout"))
PAGES = {
    "table1": Page("Table 1: gait regression", {"gait": _GAIT}),
    "table2": Page("Table 2: workout classification", {"workout": _WORKOUT}),
    "table3": Page("Table 3: against a large pre-trained model", _probed(("relcon",), "table3")),
    "table4": Page(
        "Table 4: against a benchmark of self-supervised methods",
        {
            name: Judgement(f"table4_{name}", BENCHMARK, (f"+table4={name}",))
            for name in ("hhar", "motionsense", "pamap2")
        },
    ),
    "table5": Page(
        "Table 5: ablations",
        {
            "gait": Judgement("table5_gait", ABLATIONS),
            "workout": Judgement("table5_workout", ABLATIONS),
            "hhar": Judgement("table5_hhar", ABLATIONS, ("+table4=hhar", "baseline=[]")),
            "pamap2": Judgement("table5_pamap2", ABLATIONS, ("+table3=pamap2_mlp",)),
        },
    ),
    "table6": Page(
        "Table 6: softer and harder losses",
        {name: Judgement(f"table6_{name}", LOSSES) for name in ("gait", "workout")},
    ),
    "table7": Page("Table 7: the encoder of Yuan et al. (2024)", _probed(("resnet18",), "table7")),
    "figure2": Page("Figure 2: t-SNE of the embeddings", {"workout": _WORKOUT}),
    "figure3": Page("Figure 3: predicted and true double support time", {"gait": _GAIT}),
    "figure4": Page("Figure 4: ROC curves by workout", {"workout": _WORKOUT}),
    "figure5": Page("Figure 5: confusion matrices by workout", {"workout": _WORKOUT}),
}


def page(name: str) -> Page:
    """Look up a table or figure by its name.

    Raises:
        ConfigError: There is no such name.
    """
    if name not in PAGES:
        near = get_close_matches(name, PAGES, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"table={name}: expected one of {', '.join(PAGES)}{meant}")
    return PAGES[name]


def trainings(names: Sequence[str], seeds: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Each run with each seed: all runs of the first seed, then those of the next."""
    for seed in seeds:
        for name in names:
            yield name, seed
