from __future__ import annotations

import logging

import numpy as np
import pytest
from sklearn.metrics import f1_score

from relcon_lightning.data.splits import Split, leave_one_out
from relcon_lightning.downstream import LinearProbe, MlpProbe, RandomForestProbe, evaluate
from relcon_lightning.downstream.evaluate import standardised, whole_recordings
from relcon_lightning.downstream.evaluation import Evaluation
from relcon_lightning.downstream.systems import System, handcrafted
from relcon_lightning.downstream.windows import LabelledWindows
from relcon_lightning.errors import DataError
from relcon_lightning.reporting.report import fold_table, result_tables, write_report
from tests.downstream.levels import SPLIT, level, windows
from tests.margins import assert_above, assert_below


def guessed(result: Evaluation, system: str = "x", at: str = "window") -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of the first seed."""
    p = result.predictions
    p = p[(p["system"] == system) & (p["level"] == at) & (p["seed"] == p["seed"].iloc[0])]
    return p["label"].to_numpy(), p["predicted"].to_numpy()


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
