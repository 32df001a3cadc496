"""Each table and figure of the paper from one command: two steps of a tiny network, simulated people, written pages."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from tests.data.sources import test_motionsense, test_opportunity
from tests.integration.commands import SIMULATED, fork, run

EXPERIMENTS = Path(__file__).parents[2] / "experiments"

PEOPLE = [*SIMULATED[:1], "data.source.participants=16", *SIMULATED[2:]]
TINY = [
    *("trainer.max_steps=2", "trainer.val_check_interval=2", "data.batch_size=8", "data.val_batches=1"),
    *("callbacks.retrieval=null", "callbacks.online_probe=null", "callbacks.pictures=null", "compile=false"),
    *("logger=csv", "seeds=[0]", 'evaluate=["training.max_epochs=1"]'),
]
NAMES = [f"table{k}" for k in range(1, 8)] + [f"figure{k}" for k in range(2, 6)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A working folder with every page, and what was said; HHAR and PAMAP2 are not at hand."""
    folder = tmp_path_factory.mktemp("tables")
    for person in range(1, 6):
        for label, trial in (("wlk", 7), ("sit", 5)):
            name = f"A_DeviceMotion_data/{label}_{trial}/sub_{person}.csv"
            test_motionsense.put(folder / "raw" / "motionsense", name, test_motionsense.motion(220))
    for person in range(1, 5):
        rows = test_opportunity.text(test_opportunity.table([(1, 10.5), (2, 10.5)]))
        test_opportunity.put(folder / "raw" / "opportunity", f"S{person}-ADL1.dat", rows)
    for name in ("motionsense", "opportunity"):
        fork(folder, "relcon-prepare", f"data={name}", f"data.raw_dir=raw/{name}")
    output = fork(folder, "relcon-table", "-m", ",".join(NAMES), *PEOPLE, *TINY, timeout=900)
    return folder, output


def page(folder, name):
    return (folder / "reports" / "simulated" / name / f"{name}.md").read_text()


def rows(text, heading):
    """Cells of a table by the names of its rows, and its columns."""
    block = re.search(rf"^## {re.escape(heading)}\n\n((?:\|.*\n)+)", text, re.M)
    assert block is not None, heading
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block[1].splitlines()]
    columns = lines[0][1:]
    return {line[0]: dict(zip(columns, line[1:], strict=True)) for line in lines[2:]}


def test_the_paper_is_in_every_page_and_ours_is_marked_as_simulated(made):
    folder, output = made
    for name in NAMES:
        text = page(folder, name)
        assert (folder / "reports" / "simulated" / name / f"{name}.html").stat().st_size > 1000
        assert "SIMULATED" in text
        if name.startswith("table"):
            assert "quoted" in text
            assert "ICLR" in text
    assert "Run 1 of 5: distance, seed 0; 4 more follow." in output


def test_table_1_has_the_papers_rows_columns_and_decimals(made):
    for heading in ("Stride velocity, m/s", "Double support, s"):
        table = rows(page(made[0], "table1"), heading)
        assert list(table)[:5] == ["SimCLR", "Aug Pred", "REBAR", "RelCon", "Baselines (ours)"]
        assert {"random encoder", "hand-crafted + forest", "hand-crafted + linear", "training mean"} <= set(table)
        assert re.fullmatch(r"\d+\.\d{4}", table["RelCon"]["MSE"])
    assert table["RelCon"]["MAE, quoted"] == "0.0275 ± 0.0004"


def test_table_2_is_in_percent_but_for_the_area(made):
    text = page(made[0], "table2")
    scores = pd.read_parquet(made[0] / "reports/simulated/tables/workout/scores.parquet")
    for heading, level in (("Subsequence level", "window"), ("Workout level", "recording")):
        row = rows(text, heading)["SimCLR"]
        own = scores[(scores["system"] == "simclr") & (scores["level"] == level)].set_index("metric")["value"]
        assert row["macro F1"] == f"{100 * own['f1']:.2f}"
        assert row["macro AUC"] == f"{own['auc']:.4f}"


@pytest.mark.parametrize("name", ["table3", "table7"])
def test_tables_3_and_7_have_every_probe_beside_the_quoted_model(made, name):
    text = page(made[0], name)
    heading = "Opportunity and PAMAP2, wrist" if name == "table3" else "ResNet-18, 1024 dim"
    table = rows(text, heading)
    ours = {key: row for key, row in table.items() if key.startswith("RelCon")}
    probes = {"table3": {"MLP probe", "fine-tuned", "from scratch"}, "table7": {"MLP probe", "fine-tuned"}}[name]
    assert {key.rsplit(", ", 1)[1] for key in ours} == probes
    for row in ours.values():
        assert re.fullmatch(r"\d+\.\d ± \d+\.\d", row["Opportunity F1"])
        assert row["PAMAP2 F1"] == "-"
        assert row["PAMAP2 F1, quoted"] != "-"
    assert table[next(key for key in table if key.startswith("Yuan"))]["Opportunity F1"] == "-"
    assert "no cohort store at data/pamap2_wrist" in text
    assert "also trains on test participants" in text


def test_table_4_has_eight_methods_and_three_supervised_networks(made):
    table = rows(page(made[0], "table4"), "Macro F1, %")
    measured = [key for key, row in table.items() if "±" in row["MotionSense (waist) F1"]]
    methods = ["RelCon", "Aug Pred", "SimCLR", "SimSiam", "BYOL", "MAE", "CPC", "Autoencoder"]
    assert measured[:11] == [*methods, "DeepConvLSTM", "Conv classifier", "LSTM classifier"]
    assert all(row["HHAR (wrist) F1"] in ("-", "") for row in table.values())
    assert table["Conv classifier"]["PAMAP2 (leg) F1, quoted"] == "59.76 ± 1.53"


@pytest.mark.parametrize(
    ("name", "heading", "first", "others"),
    [
        ("table5", "Ablations of RelCon", "RelCon", 4),
        ("table6", "Losses", "RelCon", 2),
    ],
)
def test_tables_5_and_6_are_changes_in_percent_of_the_full_method(made, name, heading, first, others):
    table = rows(page(made[0], name), heading)
    scores = pd.read_parquet(made[0] / "reports/simulated/tables" / f"{name}_workout" / "scores.parquet")
    f1 = scores.query("level == 'recording' and metric == 'f1'").groupby("system", sort=False)["value"].mean()
    assert table[first]["Workout F1"] == f"{100 * f1.iloc[0]:.2f}"
    for place, row in enumerate(list(table.values())[1 : 1 + others], start=1):
        assert row["Workout F1"] == f"{100 * (f1.iloc[place] / f1.iloc[0] - 1):+.2f}%"
        assert row["Workout F1, quoted"].endswith("%")


@pytest.mark.parametrize("name", ["figure2", "figure3", "figure4", "figure5"])
def test_figures_are_drawn_of_what_the_evaluation_kept(made, name):
    picture = made[0] / "reports" / "simulated" / name / f"{name}.png"
    assert picture.stat().st_size > 10_000


def test_the_same_command_trains_and_evaluates_nothing_twice(made):
    folder, _ = made
    before = (folder / "runs/simulated/table6/log_ratio/seed0/checkpoints/last.ckpt").stat().st_mtime_ns
    (folder / "reports/simulated/table6/table6.md").unlink()
    (folder / "reports/simulated/tables/table6_gait/asked.json").write_text("cut")  # as if it had been interrupted
    output = fork(folder, "relcon-table", "6", *PEOPLE, *TINY)
    assert "Run " not in output
    assert re.findall(r"Evaluation (\d) of (\d)", output) == [("1", "2")]
    assert (folder / "runs/simulated/table6/log_ratio/seed0/checkpoints/last.ckpt").stat().st_mtime_ns == before
    assert "Losses" in page(folder, "table6")


def test_a_dry_run_lists_the_runs_and_their_cost_and_starts_none(made):
    folder, _ = made
    asked = ["6", *PEOPLE, *TINY[1:], "trainer.max_steps=4", "seeds=[0,1]", "dry_run=true"]
    output = fork(folder, "relcon-table", *asked)
    assert len(re.findall(r"2 of 4 steps done", output)) == 4
    assert len(re.findall(r"seed 1 +to train", output)) == 4
    assert "8 runs, 8 to train: 192 windows to embed" in output  # 4 x 2 x 8 and 4 x 4 x 8
    assert not (folder / "runs/simulated/methods/rebar/seed1").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["8", *PEOPLE], "table=table8: expected one of table1"),
        (["1", *PEOPLE, *TINY, "data.batch_size=16"], "data.batch_size: 8 -> 16"),
        (["1", *PEOPLE, "trainer.max_stepz=3"], "max_stepz"),
        (["1", *PEOPLE, "seeds=[]"], "expected different whole numbers"),
    ],
)
def test_what_cannot_be_made_is_said_in_a_line(made, arguments, message):
    output = fork(made[0], "relcon-table", *arguments, code=2)
    assert message in output
    assert "Traceback" not in output


def test_runs_that_torchrun_starts_one_by_one_are_those_that_a_table_looks_for(made):
    """As docs/tables.md starts them on eight GPUs, here with two ranks on a CPU."""
    folder, _ = made
    options = [*PEOPLE, *TINY[:-2], "trainer=ddp_cpu", "paths.runs=ranks"]
    experiment = ["--config-dir", str(EXPERIMENTS), "+methods=pretrain", *options]
    for model in ("distance", "relcon"):
        started = ["--standalone", "--nproc-per-node=2", "-m", "relcon_lightning.cli.pretrain"]
        run(folder, "torchrun", *started, *experiment, f"model={model}")
    output = fork(folder, "relcon-table", "6", *options, "seeds=[0]", "dry_run=true")
    state = dict(re.findall(r"INFO (\w+) +seed 0 +(done|to train)", output))
    assert state == {"distance": "done", "relcon": "done", "log_ratio": "to train", "rebar": "to train"}
