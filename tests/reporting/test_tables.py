"""The paper's tables: what is quoted, how folds are scored, and which runs a table needs."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from relcon_lightning.cli.commands import with_table
from relcon_lightning.data.splits import Split
from relcon_lightning.errors import ConfigError, DataError
from relcon_lightning.reporting.evaluations import SavedEvaluation
from relcon_lightning.reporting.tables import cost
from relcon_lightning.reporting.tables.layout import cell, change
from relcon_lightning.reporting.tables.plan import PAGES, RUNS, page, trainings
from relcon_lightning.reporting.tables.published import published, quoted
from relcon_lightning.reporting.tables.results import Results

FOLDS = {"0": ("a", "b"), "1": ("c", "d"), "2": ("e",)}


@pytest.fixture
def results(tmp_path) -> Results:
    """Three folds, two seeds, two systems; the second one is wrong half of the time."""
    rng = np.random.default_rng(0)
    rows = []
    for seed in (0, 1):
        for system, wrong in (("relcon x=1", 0.1), ("relcon x=2", 0.5)):
            for person in "abcde":
                label = rng.choice(["run", "sit", "walk"], 40)
                guess = np.where(rng.random(40) < wrong, rng.choice(["run", "sit"], 40), label)
                columns = {
                    "system": system,
                    "level": "window",
                    "seed": seed,
                    "participant": person,
                    "recording": person,
                }
                rows.append(pd.DataFrame({**columns, "label": label, "predicted": guess}))
    predictions = pd.concat(rows, ignore_index=True)
    for name, people in FOLDS.items():
        Split(tuple(set("abcde") - set(people)), (), people).save(tmp_path / "splits" / f"{name}.json")
    scores = pd.DataFrame(
        {"system": "relcon x=1", "level": "window", "metric": "f1", "seed": [0, 1], "value": [0.25, 0.75]}
    )
    finished = SavedEvaluation(tmp_path, "t", "d", {}, scores, predictions, pd.DataFrame())
    return Results(finished, {"relcon": "relcon x=1", "softmax": "relcon x=2"})


def macro_f1(label: list[str], predicted: list[str]) -> float:
    """By counting, over the classes that are in either."""
    values = []
    for name in set(label) | set(predicted):
        hits = sum(a == b == name for a, b in zip(label, predicted, strict=True))
        values.append(2 * hits / (label.count(name) + predicted.count(name)))
    return math.fsum(values) / len(values)


def kappa(label: list[str], predicted: list[str]) -> float:
    n = len(label)
    agreed = sum(a == b for a, b in zip(label, predicted, strict=True)) / n
    chance = sum(label.count(name) * predicted.count(name) for name in set(label)) / n**2
    return (agreed - chance) / (1 - chance)


@pytest.mark.parametrize(("metric", "score"), [("f1", macro_f1), ("kappa", kappa)])
@pytest.mark.parametrize("row", ["relcon", "softmax"])
def test_each_fold_is_scored_by_itself(results, row, metric, score):
    predictions = results.evaluation.predictions
    values = []
    for people in FOLDS.values():
        own = predictions[(predictions["system"] == results.names[row]) & predictions["participant"].isin(people)]
        seeds = [score(part["label"].tolist(), part["predicted"].tolist()) for _, part in own.groupby("seed")]
        values.append(math.fsum(seeds) / 2)
    mean = math.fsum(values) / 3
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / 2)
    assert results.over_folds(row, metric) == pytest.approx((mean, std), rel=1e-12)
    assert results.over_folds("nobody", metric) is None


def test_seeds_have_a_sample_standard_deviation(results):
    assert results.over_seeds("relcon", "window", "f1") == pytest.approx((0.5, math.sqrt(0.125)))
    assert results.over_seeds("relcon", "recording", "f1") is None


def test_cells_have_the_decimals_of_the_paper():
    assert cell((0.08333, 0.00188), 4) == "0.0833 ± 0.0019"
    assert cell((0.55284, 0.00861), 2, percent=True) == "55.28 ± 0.86"
    assert cell((0.5, float("nan")), 4) == "0.5000"
    assert cell(None, 4) == "-"
    assert change((0.8431, 0.0), (0.7974, 0.0)) == "-5.42%"  # as Table 5 prints it for these values
    assert change((0.5763, 0.0), (0.5892, 0.0)) == "+2.24%"
    assert change(None, (0.1, 0.0)) == "-"


def test_a_run_is_told_by_the_folder_of_its_checkpoints(results, tmp_path):
    folder = results.evaluation.folder
    tables = {
        "scores": results.evaluation.scores,
        "predictions": results.evaluation.predictions,
        "costs": pd.DataFrame({"system": ["x"]}),
    }
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
    (folder / "facts.json").write_text(json.dumps({"title": "t", "facts": {}, "units": {}}))
    runs = {name: tmp_path / "runs" / RUNS[name].folder for name in ("relcon", "softmax")}
    paths = {
        "relcon x=1": [str(runs["relcon"] / "seed0")],
        "relcon x=2": [str(runs["softmax"] / "seed0" / "checkpoints" / "last.ckpt")],
    }
    (folder / "systems.json").write_text(json.dumps(paths))
    assert Results.read(folder, runs).names == results.names
    with pytest.raises(DataError, match=r"is not an evaluation of .*rebar"):
        Results.read(folder, {"rebar": tmp_path / "runs" / "methods" / "rebar"})


def test_every_run_of_a_table_comes_after_its_distance_and_every_file_exists():
    experiments = Path(__file__).parents[2] / "experiments"
    for name in PAGES:
        runs = page(name).runs
        for place, run in enumerate(runs):
            distance = RUNS[run].distance
            assert distance is None or runs.index(distance) < place
            choice = RUNS[run].overrides[0].removeprefix("+").replace("=", "/")
            assert (experiments / f"{choice}.yaml").is_file()
    assert len(set(page("table4").runs)) == 9
    assert [seed for _, seed in trainings(["x", "y"], [3, 4])] == [3, 3, 4, 4]
    with pytest.raises(ConfigError, match=r"table=tabel2: .*did you mean table2\?"):
        page("tabel2")


def test_what_is_quoted_is_printed_in_numbers():
    def leaves(node):
        return [x for child in node.values() for x in leaves(child)] if isinstance(node, dict) else [node]

    cells = [x for key, node in published().items() if key != "citation" for x in leaves(node)]
    assert len(cells) > 150
    for text in cells:
        assert re.fullmatch(r"[+-]?\d+(\.\d+)?( ± \d+(\.\d+)?)?", text), text
    assert quoted("table1", "double_support", "relcon", "r") == "0.7559 ± 0.0120"
    assert quoted("table2", "window", "simclr", "f1") == "-"


def test_the_first_word_names_the_table_and_what_it_has_no_key_for_goes_to_the_runs():
    words = [
        "-m",
        "1,figure3",
        "data=folder",
        "data.source.participant='[^/_]+'",
        "seeds=[0]",
        "+data.x=[a,b]",
        "paths.runs=r",
    ]
    own = with_table(words)
    assert own[:4] == ["-m", "table=table1,figure3", "seeds=[0]", "paths.runs=r"]
    [parsed] = OverridesParser.create().parse_overrides(own[4:])
    assert [str(x) for x in parsed.value()] == ["data=folder", "data.source.participant='[^/_]+'", "+data.x=[a,b]"]
    assert with_table(["table4", "dry_run=true"]) == ["table=table4", "dry_run=true"]


def test_a_run_costs_what_it_embeds_and_is_timed_by_those_that_ended(tmp_path):
    config = {
        "trainer": {"max_steps": 10, "devices": 8, "num_nodes": 1},
        "data": {"batch_size": 64, "n_candidates": 20},
    }
    assert cost.anchors(config) == 5120
    assert cost.windows(config) == 5120 * 21
    assert cost.seconds(config, tmp_path) is None
    (tmp_path / "seed0" / "csv").mkdir(parents=True)
    (tmp_path / "seed0" / "csv" / "metrics.csv").write_text("step,time/anchors_per_s\n1,\n2,512\n")
    assert cost.seconds(config, tmp_path) == 10
    assert [cost.words(x) for x in (20, 600, 7200)] == ["20 s", "10 min", "2.0 h"]
