"""Pictures of a training show what was logged and how the distance ranks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from relcon_lightning.data import CohortStore, Recording, Segment
from relcon_lightning.reporting.curves import CURVES, curves
from relcon_lightning.reporting.png import png
from relcon_lightning.reporting.ranking import ranking
from relcon_lightning.training.callbacks.pictures import labels_at
from tests.conftest import INFO


def log(steps: int = 20) -> pd.DataFrame:
    """As the CSV logger writes it: a row for each kind of value."""
    train = pd.DataFrame({"step": range(steps), "train/loss": np.linspace(5, 1, steps)})
    val = pd.DataFrame({"step": [9, 19], "val/loss": [4.0, 2.0], "val/average_precision": [0.2, 0.3]})
    chance = pd.DataFrame({"step": [9, 19], "val/average_precision_chance": [0.1, 0.1]})
    return pd.concat([train, val, chance], ignore_index=True)


@pytest.mark.parametrize(("last", "shown"), [(2.0, False), (1.5, True)])
def test_distances_of_a_frozen_distance_have_no_panel(last, shown):
    names = [f"val/distance_{whose}_q{q}" for whose in ("within", "between") for q in (10, 50, 90)]
    rows = {"step": [-1, 4, 9], "train/loss": [3.0, 2.0, 1.0], **{name: [2.0, 2.0, last] for name in names}}
    titles = {axes.get_title() for axes in curves({"": pd.DataFrame(rows)}).axes if axes.lines}
    assert ("distances within a person" in titles) is shown
    assert ("distances between people" in titles) is shown
    assert "loss" in titles


def test_curves_are_what_was_logged_and_what_was_not_has_no_panel():
    figure = curves({"": log()})
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert set(panels) == {"loss", "average precision"}
    train, val = panels["loss"].lines
    np.testing.assert_allclose(train.get_xydata(), np.stack([np.arange(20) + 1, np.linspace(5, 1, 20)], 1))
    np.testing.assert_allclose(val.get_xydata(), [[10, 4.0], [20, 2.0]])
    assert [text.get_text() for text in panels["loss"].get_legend().get_texts()] == ["train", "val"]
    assert [text.get_text() for text in panels["average precision"].get_legend().get_texts()] == ["val", "chance"]


def test_a_legend_covers_no_curve():
    names = [f"val/distance_within_q{q}" for q in (10, 50, 90)]
    figure = curves({"": pd.DataFrame({"step": [-1, 9], **{name: [1.0, 0.9] for name in names}})})
    png(figure)
    [axes] = [one for one in figure.axes if one.lines]
    legend, title = axes.get_legend().get_window_extent(), axes.title.get_window_extent()
    assert axes.bbox.y1 <= legend.y0 < legend.y1 <= title.y0 + 1
    assert len(axes.get_legend().get_texts()) == 3


@pytest.mark.parametrize(
    ("candidates", "panels"),
    [([31, 31, 31], {"loss per candidate"}), ([31, 31, 16], {"loss per candidate", "loss"})],
)
def test_two_panels_that_show_the_same_loss_are_one(candidates, panels):
    rows = {"step": [0, 1, 2]}
    for stage in ("train", "val"):
        rows |= {f"{stage}/loss_per_candidate": [3.0, 2.0, 1.0], f"{stage}/loss": np.multiply(candidates, [3, 2, 1])}
    assert {axes.get_title() for axes in curves({"": pd.DataFrame(rows)}).axes if axes.lines} == panels


def test_the_loss_of_a_method_without_candidates_stays_beside_the_other():
    both = pd.DataFrame({"step": [0], "train/loss": [3.0], "train/loss_per_candidate": [1.0]})
    figure = curves({"relcon": both, "simclr": both[["step", "train/loss"]]})
    assert {axes.get_title() for axes in figure.axes if axes.lines} == {"loss per candidate", "loss"}


def test_step_0_is_explained_where_it_is_drawn_and_all_panels_have_the_same_steps():
    table = pd.DataFrame({"step": [-1, 9, 99], "val/loss": [2.0, None, 1.0], "train/grad_norm": [None, 3.0, 4.0]})
    figure = curves({"": table})
    assert "untrained network" in figure.get_supxlabel()
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert figure.axes[0].get_xlim()[0] < 0 < 100 < figure.axes[0].get_xlim()[1]
    assert curves({"": table[1:]}).get_supxlabel() == ""


def panel(figure, title: str):
    return next(axes for axes in figure.axes if axes.get_title() == title)


def test_what_the_method_knows_is_beside_the_untrained_net_and_chance():
    table = pd.DataFrame(
        {
            "step": [-1, 4, 9],
            "val/knn_f1": [0.5, 0.6, 0.7],
            "val/knn_f1_chance": [0.25] * 3,
            "val/loss": [3.0, 2.0, 1.0],
        }
    )
    figure = curves({"": table})
    probe = panel(figure, "macro F1 of the online probe")
    lines = {line.get_label(): line for line in probe.lines}
    assert set(lines) == {"val", "chance", "untrained"}
    np.testing.assert_allclose(lines["val"].get_xydata(), [[0, 0.5], [5, 0.6], [10, 0.7]])
    assert set(lines["untrained"].get_ydata()) == {0.5}
    assert [line.get_linestyle() for line in panel(figure, "loss").lines] == ["-"]  # a loss has nothing to beat


def test_a_run_without_a_first_value_has_no_line_of_the_untrained_net():
    table = pd.DataFrame({"step": [4, 9], "val/average_precision": [0.6, 0.7]})
    assert len(panel(curves({"": table}), "average precision").lines) == 1


def test_all_that_was_logged_is_drawn():
    names = ["train/loss_per_candidate", "val/loss_per_candidate", "val/distance_within_q50", "lr-Adam", "lr-SGD"]
    names += ["train/my_term", "val/my_term", "time/anchors_per_s", "epoch", "step"]
    figure = curves({"": pd.DataFrame({name: [1.0, 2.0] for name in names})})
    drawn = {axes.get_title(): len(axes.lines) for axes in figure.axes if axes.get_title()}
    assert drawn == {
        "loss per candidate": 2,
        "distances within a person": 1,
        "learning rate": 2,
        "my term": 2,
        "anchors per s": 1,
    }


@pytest.mark.parametrize("values", [[0.9501, 0.9499], [-3.0, -3.001], [0.0, 0.0]])
def test_an_axis_does_not_blow_noise_up(values):
    axes = panel(curves({"": pd.DataFrame({"step": [0, 1], "val/uniformity": values})}), "uniformity")
    low, high = axes.get_ylim()
    assert high - low >= 0.09 * max(map(abs, values))
    assert low <= min(values) <= max(values) <= high


def test_an_axis_shows_what_moves():
    low, high = panel(curves({"": log()}), "loss").get_ylim()
    assert low < 1.1
    assert 4.9 < high < 6


def test_runs_are_drawn_over_each_other_and_named():
    figure = curves({"relcon": log(), "simclr": log(5)})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["relcon", "simclr"]
    lines = panel(figure, "loss").lines
    assert [(line.get_color(), line.get_alpha()) for line in lines] == [
        ("C0", 0.4),
        ("C0", None),
        ("C1", 0.4),
        ("C1", None),
    ]


def test_a_run_that_logged_nothing_is_an_empty_picture():
    assert len(curves({"": pd.DataFrame({"step": []})}).axes) == 1
    assert all(isinstance(names, tuple) for names in CURVES.values())


def test_a_row_is_an_anchor_then_the_nearest_then_the_farthest():
    rng = np.random.default_rng(0)
    windows = np.arange(10)[:, None, None] + np.zeros((10, 3, 16))
    distances = rng.permutation(100).reshape(10, 10).astype(float)
    np.fill_diagonal(distances, 0)
    participant = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    figure = ranking(windows, distances, participant, 50.0)
    grid = np.array(figure.axes).reshape(3, 8)
    assert not any(axes.lines for axes in grid[:, 4])  # the gap between near and far
    rows = np.delete(grid, 4, axis=1)
    for row, anchor in zip(rows, (0, 5, 1), strict=True):
        order = [i for i in np.argsort(distances[anchor]) if i != anchor]
        shown = [int(axes.lines[0].get_ydata()[0]) for axes in row]
        assert shown == [anchor, *order[:3], *order[-3:]]
        assert row[0].get_title() == "anchor"
        for axes, i in zip(row[1:], shown[1:], strict=True):
            whose = "same" if participant[i] == participant[anchor] else "other"
            assert axes.get_title() == f"{distances[anchor, i]:.3g}, {whose} person"


def test_two_windows_are_an_anchor_without_candidates_to_compare():
    figure = ranking(np.zeros((2, 3, 8)), np.zeros((2, 2)), np.array([0, 1]), 50.0)
    assert [axes.get_title() for axes in figure.axes if axes.lines] == ["anchor", "anchor"]
    assert figure.get_suptitle().endswith("with distances")


def test_distances_are_written_as_a_person_writes_them_and_axes_have_units():
    windows, distances = np.zeros((3, 3, 8)), np.array([[0, 1671.2, 0.0123], [1, 0, 2], [1, 2, 0]])
    figure = ranking(windows, distances, np.zeros(3, dtype=int), 50.0, "g²")
    assert figure.get_suptitle().endswith("with distances in g²")
    titles = [axes.get_title() for axes in figure.axes[:4] if axes.lines]
    assert titles == ["anchor", "0.0123, same person", "1,671, same person"]
    assert {axes.get_ylabel() for axes in figure.axes} == {"acceleration, g", ""}
    assert {axes.get_xlabel() for axes in figure.axes} == {"time, s", ""}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x", "y", "z"]


def test_steps_are_whole_numbers():
    figure = curves({"": pd.DataFrame({"step": [9], "train/loss": [1.0]})})
    png(figure)
    assert all(float(step).is_integer() for step in figure.axes[0].get_xticks())


def test_windows_have_the_names_of_their_classes():
    distances = np.array([[0, 5, 9], [5, 0, 1], [9, 1, 0]])
    figure = ranking(np.zeros((3, 3, 8)), distances, np.array([0, 0, 1]), 50.0, "", ["row", "run", ""])
    titles = [axes.get_title() for axes in figure.axes[:4] if axes.lines]
    assert titles == ["anchor\nrow", "5, same person\nrun", "9, other person\nno label"]


def test_the_label_of_a_window_is_that_of_its_middle(tmp_path):
    segments = (Segment(0.0, 5.0, "walk"), Segment(5.0, 8.0, "row"), Segment(9.0, 10.0, targets={"pace": 1.0}))
    made = [
        Recording("a", "p", np.ones((1000, 3), dtype=np.float32), 100.0, segments),
        Recording("b", "p", np.ones((1000, 3), dtype=np.float32), 100.0),
    ]
    store = CohortStore.write(tmp_path / "s", made, INFO)
    row = {name: i for i, name in enumerate(store.recordings["recording_id"])}
    places = [("a", 0), ("a", 449), ("a", 451), ("a", 760), ("b", 0)]
    found = labels_at(store, np.array([row[name] for name, _ in places]), np.array([start for _, start in places]), 100)
    assert found == ["walk", "walk", "row", "", ""]
