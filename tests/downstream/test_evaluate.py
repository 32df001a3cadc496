from __future__ import annotations

import logging
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import f1_score

from relcon_lightning.data.splits import Split, leave_one_out
from relcon_lightning.downstream import LinearProbe, MlpProbe, RandomForestProbe, evaluate
from relcon_lightning.downstream.evaluate import Evaluation, standardised, whole_recordings
from relcon_lightning.downstream.systems import System, handcrafted
from relcon_lightning.downstream.windows import LabelledWindows
from relcon_lightning.errors import DataError
from relcon_lightning.reporting.report import fold_table, print_report, result_tables, score_table, write_report
from tests.margins import assert_above, assert_below

SPLIT = Split(("a", "b"), ("c",), ("d",))


def windows(seed: int = 0, labels: tuple[str, ...] = ("row", "walk")) -> LabelledWindows:
    """Four people, ten windows a label, told apart by the level of the first axis."""
    rng = np.random.default_rng(seed)
    people = np.repeat(list("abcd"), 10 * len(labels))
    label = np.tile(np.repeat(labels, 10), 4)
    signal = rng.standard_normal((len(label), 3, 32)).astype(np.float32)
    signal[:, 0] += np.searchsorted(labels, label)[:, None]
    return LabelledWindows(signal, label, people, np.char.add(people, label))


def guessed(result: Evaluation, system: str = "x", at: str = "window") -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of the first seed."""
    p = result.predictions
    p = p[(p["system"] == system) & (p["level"] == at) & (p["seed"] == p["seed"].iloc[0])]
    return p["label"].to_numpy(), p["predicted"].to_numpy()


def level(name: str, noise: float = 0.0) -> System:
    def features(seed: int, x: np.ndarray) -> np.ndarray:
        return x.mean(-1) + noise * np.random.default_rng(seed).standard_normal((len(x), 3))

    return System(name, features, LinearProbe, 12, seeded=noise > 0)


def test_every_system_is_scored_at_both_levels_for_every_seed(training_seed):
    systems, seeds = [level("good"), level("noise", 50.0), handcrafted(50.0)], [training_seed, training_seed + 1]
    result = evaluate(systems, windows(training_seed), [SPLIT], seeds)
    assert len(result.scores) == 3 * 2 * 4 * 2
    f1 = result.scores[result.scores["metric"] == "f1"].groupby(["system", "level"])["value"].mean()
    assert f1["good", "recording"] == 1
    assert_above(f1["good", "window"], 0.8, "macro F1")
    assert_below(f1["noise", "window"], 0.75, "macro F1 of noise")
    assert result.sizes.loc["test"].to_dict() == {"participants": 1, "recordings": 2, "windows": 20}


def test_the_score_is_the_one_of_the_test_participants():
    result = evaluate([level("x", 0.5)], windows(), [SPLIT], [3])
    label, predicted = guessed(result)
    assert len(label) == 20
    value = result.scores.query("metric == 'f1' and level == 'window'")["value"].item()
    assert value == pytest.approx(f1_score(label, predicted, average="macro"))


def test_folds_are_predicted_by_their_own_probes_and_scored_together():
    w = windows()
    folds = list(leave_one_out("abcd"))
    together = evaluate([level("x", 0.5)], w, folds, [1])
    alone = [guessed(evaluate([level("x", 0.5)], w, [fold], [1])) for fold in folds]
    label, predicted = guessed(together)
    # Noise is drawn for all windows at once, so that a fold alone sees the same features.
    np.testing.assert_array_equal(label, np.concatenate([one[0] for one in alone]))
    np.testing.assert_array_equal(predicted, np.concatenate([one[1] for one in alone]))
    assert together.sizes.loc["test"].to_dict() == {"participants": 4, "recordings": 8, "windows": 80}
    assert together.sizes.loc["train", "participants"] == 2
    with pytest.raises(DataError, match="d are in the test set of two"):
        evaluate([level("x")], w, [SPLIT, SPLIT], [0])


def test_test_data_has_no_part_in_fitting():
    """Other test windows, same probe: the prediction of a window that stays is the same."""
    first = windows()
    changed = windows()
    changed.signal[-10:] *= -7
    results = [guessed(evaluate([level("x")], w, [SPLIT], [0]))[1][:10] for w in (first, changed)]
    np.testing.assert_array_equal(*results)


class Witness(LinearProbe):
    """Writes down what it is fitted with."""

    seen: tuple[np.ndarray, ...] = ()

    def fit(self, x, label, x_val, label_val, seed=0):
        Witness.seen = (x, label, x_val, label_val)
        return super().fit(x, label, x_val, label_val, seed)


def test_a_probe_is_handed_training_and_validation_people_alone():
    """The participant is written into the features, so that each row says whose it is."""
    w = windows()
    w.signal[:, 2] = np.searchsorted(list("abcd"), w.participant)[:, None]
    evaluate([System("x", lambda _, x: x.mean(-1), Witness)], w, [SPLIT], [0])
    x, label, x_val, label_val = Witness.seen
    assert set(x[:, 2]) == {0.0, 1.0}
    assert set(x_val[:, 2]) == {2.0}
    people = np.isin(w.participant, SPLIT.validation)
    np.testing.assert_array_equal(x_val, w.signal[people].mean(-1))
    np.testing.assert_array_equal(label_val, w.label[people])
    rows = {tuple(row): name for row, name in zip(w.signal.mean(-1), w.label, strict=True)}
    assert [rows[tuple(row)] for row in x] == label.tolist()


def test_the_regularisation_is_chosen_on_the_validation_people():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 30)), np.repeat(["a", "b"], 20)
    x[:, 0] += np.where(y == "a", 1.5, -1.5)
    x_val, y_val = rng.standard_normal((400, 30)), np.repeat(["a", "b"], 200)
    x_val[:, 0] += np.where(y_val == "a", 1.5, -1.5)
    probe = LinearProbe().fit(x, y, x_val, y_val)
    scores = {
        c: f1_score(y_val, LinearProbe([c]).fit(x, y, x_val, y_val)._best.predict(x_val), average="macro")
        for c in probe.settings
    }
    assert scores[probe.chosen] == max(scores.values()) > min(scores.values())


def test_the_mlp_probe_has_one_hidden_layer_and_separates_what_no_line_does(training_seed):
    rng = np.random.default_rng(training_seed)
    x = rng.uniform(-1, 1, (400, 2))
    label = np.where(x[:, 0] * x[:, 1] > 0, "same", "other")
    mlp = MlpProbe(hidden=64, inverse_decays=[1e4, 1e-3]).fit(x[:300], label[:300], x[300:], label[300:], seed=1)
    linear = LinearProbe([1.0]).fit(x[:300], label[:300], x[300:], label[300:])
    accuracy = [
        (np.asarray(p.classes)[p.predict_proba(x[300:]).argmax(1)] == label[300:]).mean() for p in (mlp, linear)
    ]
    assert mlp.chosen == 1e4
    assert [w.shape for w in mlp._best[-1].coefs_] == [(2, 64), (64, 1)]
    assert_above(accuracy[0], 0.85, "accuracy")
    assert_below(accuracy[1], 0.75, "accuracy of a line")
    again = MlpProbe(hidden=64, inverse_decays=[1e4]).fit(x[:300], label[:300], x[300:], label[300:], seed=1)
    np.testing.assert_array_equal(mlp.predict_proba(x), again.predict_proba(x))


def test_a_forest_is_seeded():
    w = windows()
    x = w.signal.mean(-1)
    a, b, c = (RandomForestProbe(20).fit(x, w.label, x, w.label, seed).predict_proba(x) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_classes_that_were_never_trained_on_are_reported_not_a_crash(caplog):
    w = windows()
    w.label[-5:] = "swim"
    with caplog.at_level(logging.WARNING):
        result = evaluate([level("x")], w, [SPLIT], [0])
    assert "'swim'" in caplog.text
    assert result.classes == ["row", "swim", "walk"]
    assert "swim" not in guessed(result)[1]


def test_a_part_without_windows_is_named():
    with pytest.raises(DataError, match="validation participants zoe have no"):
        evaluate([level("x")], windows(), [Split(("a",), ("zoe",), ("d",))], [0])
    with pytest.raises(DataError, match=r"validation part has no participants: .*folds=k_fold"):
        evaluate([level("x")], windows(), [Split(("a", "b"), (), ("d",))], [0])


def test_training_on_one_class_is_refused_and_named():
    w = windows()
    w.label[np.isin(w.participant, SPLIT.train)] = "row"
    with pytest.raises(DataError, match=r"\('a', 'b'\) have windows of \['row'\] only"):
        evaluate([level("x")], w, [SPLIT], [0])


@pytest.fixture(scope="module")
def result():
    return evaluate([level("<script>good"), level("noise", 50.0)], windows(), [SPLIT], [0, 1, 2])


def test_cells_are_mean_and_deviation_over_seeds():
    rows = [("a", "window", "f1", s, v) for s, v in enumerate((0.80, 0.82))]
    rows += [("b", "window", "f1", s, v) for s, v in enumerate((0.70, 0.74))]
    rows += [("b", "recording", "f1", 0, 0.1)]
    table = score_table(pd.DataFrame(rows, columns=["system", "level", "metric", "seed", "value"]), "window")
    assert table["macro F1"].tolist() == ["0.810 ± 0.014", "0.720 ± 0.028"]  # n - 1
    [cell] = score_table(pd.DataFrame(rows, columns=["system", "level", "metric", "seed", "value"]), "recording").loc[
        "b"
    ]
    assert cell == "0.100 ± -"


class _Pieces(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "href")]


def test_the_report_is_complete_self_contained_and_escaped(result, tmp_path):
    page = write_report(result, "Toy task", {"Checkpoint": "<b>x"}, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "- Checkpoint: &lt;b&gt;x" in text
    html, markdown = page.read_text(), page.with_suffix(".md").read_text()
    pieces = _Pieces()
    pieces.feed(html)
    assert pieces.tags.count("table") == 6
    assert pieces.tags.count("img") == 9  # bars, and of two systems at two levels confusion and ROC
    assert "script" not in pieces.tags
    assert "b" not in pieces.tags
    assert all(link.startswith("data:image/png;base64,") for link in pieces.links)
    for text in ("noise", "macro F1", "Cohen&#39;s kappa", "± "):
        assert text in html
    for level_name in ("window", "recording"):
        cells = score_table(result.scores, level_name).loc["noise"]
        assert "| noise | " + " | ".join(cells) + " |" in markdown
    for name in ("f1.png", "confusion_window.png", "confusion_recording.png", "roc_window_noise.png"):
        assert (page.parent / name).read_bytes().startswith(b"\x89PNG")
        assert f"({name})" in markdown
    pd.testing.assert_frame_equal(pd.read_parquet(page.parent / "scores.parquet"), result.scores)
    pd.testing.assert_frame_equal(pd.read_parquet(page.parent / "predictions.parquet"), result.predictions)


def test_the_terminal_shows_every_system_and_metric(result):
    console = Console(record=True, width=120)
    print_report(result, "Toy task", console)
    text = console.export_text()
    for expected in ("noise", "macro F1", "macro AUC", "Window level", "Recording level"):
        assert expected in text


def test_an_ordinary_terminal_cuts_no_number_short():
    metrics = ("f1", "kappa", "accuracy", "auc")
    names = ("relcon", "random encoder", "hand-crafted features + forest")
    rows = [
        (n, lv, m, s, 0.9 - 0.2 * i + 0.01 * s)
        for i, n in enumerate(names)
        for lv in ("window", "recording")
        for m in metrics
        for s in (0, 1)
    ]
    scores = pd.DataFrame(rows, columns=["system", "level", "metric", "seed", "value"])
    console = Console(record=True, width=80)
    items = {"participant": ["p", "q"], "recording": ["r", "s"], "label": ["a", "b"], "predicted": ["a", "b"]}
    parts = [
        pd.DataFrame({"system": n, "level": lv, "seed": s, **items})
        for n in names
        for lv in ("window", "recording")
        for s in (0, 1)
    ]
    print_report(Evaluation(scores, pd.concat(parts), pd.DataFrame(), pd.DataFrame()), "Toy task", console)
    text = console.export_text()
    assert "…" not in text
    assert text.count("0.905 ± 0.007") == 8
    assert text.count("no verdict:") == 4  # of two systems beside the first, at two levels
    assert text.count("2 people, 6") == 4  # a verdict is folded
    assert text.count("hand-crafted features + forest") == text.count("random encoder")  # no name is folded
    assert text.count("Cohen's kappa") == 2


def small(labels=("a", "b"), embedding=None, units=None):
    """An evaluation of two systems."""
    rng = np.random.default_rng(0)
    n = 40
    label = np.array([labels[i % len(labels)] for i in range(n)]) if not units else rng.uniform(1, 2, n)
    kinds = [(one, level) for one in ("relcon", "random encoder") for level in units or ("window", "recording")]
    metric = "mae" if units else "f1"
    scores = pd.DataFrame(kinds, columns=["system", "level"]).assign(metric=metric, seed=0, value=0.5)
    items = {"participant": [f"p{i % 6}" for i in range(n)], "recording": "r", "label": label, "predicted": label}
    predictions = pd.concat(pd.DataFrame({"system": s, "level": level, "seed": 0, **items}) for s, level in kinds)
    costs = pd.DataFrame({"system": ["relcon", "random encoder"], "parameters": 3, "seconds": 0.1})
    made = Evaluation(scores, predictions, costs, pd.DataFrame({"windows": [n]}))
    chances = np.full((n, len(labels)), 1 / len(labels))
    shown = {} if units else {"embeddings": {"relcon": embedding if embedding is not None else rng.normal(size=(n, 4))}}
    return replace(
        made,
        units=units or {},
        classes=list(labels),
        probabilities=dict.fromkeys(kinds, chances),
        embedded=np.array(label),
        **shown,
    )


@pytest.mark.parametrize(
    ("evaluation", "missing"),
    [
        (small(embedding=np.ones((40, 4))), "tsne"),
        (small(embedding=np.full((40, 4), np.nan)), "tsne"),
        (small(("costs $5", "a$b", "\\frac{", "x^2")), None),
        (small(("only one",)), None),
        (small(units={"km/h": "km/h"}), None),
        (small(units={"../../a": "$", "a b": "x"}), None),
    ],
)
def test_results_are_written_whatever_becomes_of_the_pictures(evaluation, missing, tmp_path, caplog):
    page = write_report(evaluation, "Toy", {}, tmp_path / "report")
    written = {path.name for path in page.parent.iterdir()}
    assert {"scores.parquet", "predictions.parquet", "facts.json", "report.md", "report.html"} <= written
    assert (f"the figure '{missing}' could not be drawn" in caplog.text) == bool(missing)
    assert {path.name for path in tmp_path.iterdir()} == {"report"}
    assert len([name for name in written if name.endswith(".png")]) >= 2


def test_results_are_there_before_the_first_picture_is_drawn(tmp_path, monkeypatch):
    """A library that crashes the process takes no result with it."""

    def crash(*_):
        assert (tmp_path / "report.html").stat().st_size
        assert (tmp_path / "scores.parquet").stat().st_size
        raise KeyboardInterrupt  # passes where an ordinary error is a warning

    monkeypatch.setattr("relcon_lightning.reporting.plots.score_bars", crash)
    with pytest.raises(KeyboardInterrupt):
        write_report(small(), "Toy", {}, tmp_path)


def test_each_seed_can_divide_the_people_anew_and_draw_no_bootstrap():
    w = windows()
    divided = {3: [SPLIT], 5: [Split(("c", "d"), ("a",), ("b",))]}
    result = evaluate([level("x", 0.5)], w, divided, [3, 5], bootstrap=False)
    for seed, splits in divided.items():
        own = result.predictions.query("seed == @seed and level == 'window'")
        assert set(own["participant"]) == set(splits[0].test)
        alone = evaluate([level("x", 0.5)], w, splits, [seed], bootstrap=False)
        np.testing.assert_array_equal(own["predicted"], guessed(alone)[1])
    seen = []

    class Witness(LinearProbe):
        def fit(self, x, label, x_val, label_val, seed=0):
            seen.append(len(np.unique(x, axis=0)))
            return super().fit(x, label, x_val, label_val, seed)

    for bootstrap in (False, True):
        evaluate([System("x", lambda _, x: x.mean(-1), Witness)], w, [SPLIT], [0], bootstrap)
    assert seen[0] == np.isin(w.participant, SPLIT.train).sum() > seen[1]


def f1_alone(result: Evaluation, at: str) -> float:
    scores = result.scores
    return scores[(scores["metric"] == "f1") & (scores["level"] == at)]["value"].item()


def test_each_fold_is_also_scored_by_itself():
    """Mean and sample deviation over folds of what each fold alone gives, in the report beside the other tables."""
    w, folds = windows(), list(leave_one_out("abcd"))
    together = evaluate([level("x", 0.5), level("y", 2.0)], w, folds, [1, 2], bootstrap=False)
    for system, noise in (("x", 0.5), ("y", 2.0)):
        for at in ("window", "recording"):
            by_fold = []
            for number, fold in enumerate(folds):
                f1 = [f1_alone(evaluate([level(system, noise)], w, [fold], [s], bootstrap=False), at) for s in (1, 2)]
                table = together.folds.set_index(["system", "level", "metric", "fold"]).sort_index()
                assert table.loc[(system, at, "f1", number), "value"].tolist() == pytest.approx(f1)
                by_fold.append(np.mean(f1))
            cell = fold_table(together.folds, at).loc[system, "macro F1"]
            assert cell == f"{np.mean(by_fold):.3f} ± {np.std(by_fold, ddof=1):.3f}"
    assert [name for name in result_tables(together) if "each fold by itself" in name] == [
        "Window level, each fold by itself",
        "Recording level, each fold by itself",
    ]


def test_a_single_fold_has_no_table_of_folds(tmp_path):
    result = evaluate([level("x")], windows(), [SPLIT], [0])
    assert result.folds.empty
    assert not [name for name in result_tables(result) if "fold" in name]
    write_report(result, "t", {}, tmp_path)
    assert not (tmp_path / "folds.parquet").exists()


def test_windows_are_standardised_by_the_training_windows_of_each_fold():
    seen = []

    def features(seed: int, x: np.ndarray) -> np.ndarray:
        seen.append(x)
        return x.mean(-1)

    w, folds = windows(), list(leave_one_out("abcd"))
    w.signal[w.participant == "a"] *= 10
    evaluate([System("x", features, LinearProbe)], w, folds, [0, 1], standardise=True)
    assert len(seen) == 4  # of the first seed: the features do not depend on it
    for fold, x in zip(folds, seen, strict=True):
        train = w.signal[np.isin(w.participant, fold.train)].astype(np.float64)
        for axis in range(3):
            expected = (w.signal[:, axis] - train[:, axis].mean()) / train[:, axis].std()
            np.testing.assert_allclose(x[:, axis], expected, rtol=1e-4, atol=1e-4)


def test_an_axis_that_stands_still_is_standardised_to_0():
    x = np.random.default_rng(0).standard_normal((6, 3, 8)).astype(np.float32)
    x[:, 1] = 1
    assert (standardised(x, np.arange(4))[:, 1] == 0).all()


def test_the_parts_of_a_recording_that_a_gap_divides_vote_together():
    """They are one workout; a store has them as ``id#1``, ``id#2`` ..."""
    w = windows()
    tested = (w.participant == "d") & (w.label == "walk")
    part = np.cumsum(tested)
    recording = np.where(tested, np.where(part <= 4, "d-walk#1", "d-walk#2"), w.recording)
    w = LabelledWindows(w.signal, w.label, w.participant, recording)
    result = evaluate([level("x")], w, [SPLIT], [0])
    voted = result.predictions.query("level == 'recording'")
    assert voted["recording"].tolist().count("d-walk") == 1
    assert len(voted) == 2
    votes = result.predictions.query("level == 'window' and label == 'walk'")["predicted"].value_counts()
    assert voted.set_index("recording").loc["d-walk", "predicted"] == votes.index[0]
    assert whole_recordings(np.array(["a#1", "a#12", "a", "a#b", "a#1b"])) == ["a", "a", "a", "a#b", "a#1b"]
