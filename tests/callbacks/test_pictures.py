"""Pictures of a training show what was logged and how the distance ranks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from relcon_lightning.callbacks.pictures import CURVES, curves, ranking
from relcon_lightning.png import png


def log(steps: int = 20) -> pd.DataFrame:
    """As the CSV logger writes it: a row for each kind of value."""
    train = pd.DataFrame({"step": range(steps), "train/loss": np.linspace(5, 1, steps)})
    val = pd.DataFrame({"step": [9, 19], "val/loss": [4.0, 2.0], "val/average_precision": [0.2, 0.3]})
    chance = pd.DataFrame({"step": [9, 19], "val/average_precision_chance": [0.1, 0.1]})
    return pd.concat([train, val, chance], ignore_index=True)


def test_curves_are_what_was_logged_and_what_was_not_has_no_panel():
    figure = curves({"": log()})
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert set(panels) == {"loss", "average precision"}
    train, val = panels["loss"].lines
    np.testing.assert_allclose(train.get_xydata(), np.stack([np.arange(20) + 1, np.linspace(5, 1, 20)], 1))
    np.testing.assert_allclose(val.get_xydata(), [[10, 4.0], [20, 2.0]])
    assert [text.get_text() for text in panels["loss"].get_legend().get_texts()] == ["train", "val"]
    assert [text.get_text() for text in panels["average precision"].get_legend().get_texts()] == ["val", "val chance"]


def test_runs_are_drawn_over_each_other_and_named():
    figure = curves({"relcon": log(), "simclr": log(5)})
    loss = next(axes for axes in figure.axes if axes.get_title() == "loss")
    names = [text.get_text() for text in loss.get_legend().get_texts()]
    assert names == ["relcon train", "relcon val", "simclr train", "simclr val"]


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
    rows = np.array(figure.axes).reshape(3, 7)
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
    assert [axes.get_title() for axes in figure.axes] == ["anchor", "anchor"]
    assert figure.get_suptitle().endswith("with distances")


def test_distances_are_written_as_a_person_writes_them_and_axes_have_units():
    windows, distances = np.zeros((3, 3, 8)), np.array([[0, 1671.2, 0.0123], [1, 0, 2], [1, 2, 0]])
    figure = ranking(windows, distances, np.zeros(3, dtype=int), 50.0, "g²")
    assert figure.get_suptitle().endswith("with distances in g²")
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert titles == ["anchor", "0.0123, same person", "1,671, same person"]
    assert {axes.get_ylabel() for axes in figure.axes} == {"acceleration, g", ""}
    assert {axes.get_xlabel() for axes in figure.axes} == {"time, s", ""}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x", "y", "z"]


def test_steps_are_whole_numbers():
    figure = curves({"": pd.DataFrame({"step": [9], "train/loss": [1.0]})})
    png(figure)
    assert all(float(step).is_integer() for step in figure.axes[0].get_xticks())
