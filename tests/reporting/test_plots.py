"""What is drawn is what was measured."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from relcon_lightning.downstream.statistics import Interval
from relcon_lightning.downstream.systems import HANDCRAFTED, MEAN, NORMALISED, RANDOM, SCRATCH
from relcon_lightning.reporting import plots


@pytest.fixture(autouse=True)
def _figures(monkeypatch):
    """Give the figure itself rather than its picture."""
    monkeypatch.setattr(plots, "png", lambda figure: figure)


def shown(made: object) -> Figure:
    """The figure, which ``png`` passes on here."""
    assert isinstance(made, Figure)
    return made


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def bars(figure: Figure) -> dict[str, list[float]]:
    """Heights by system."""
    return {
        str(box.get_label()): [bar.get_height() for bar in box]
        for box in figure.axes[0].containers
        if isinstance(box, BarContainer)
    }


def test_a_bar_is_the_score_its_error_the_interval_and_nothing_is_cut_off():
    high, low = Interval(0.99, 0.95, 1.0), Interval(0.5, 0.52, 0.6)  # the draws need not hold the estimate
    found = {
        "Window level": {"relcon": high, "random encoder": low},
        "Recording level": {"relcon": low, "random encoder": high},
    }
    figure = shown(plots.score_bars(found, "macro F1"))
    assert bars(figure) == {"relcon": [0.99, 0.5], "random encoder": [0.5, 0.99]}
    axes = figure.axes[0]
    [ends] = [box.lines[2][0].get_segments() for box in axes.containers if isinstance(box, ErrorbarContainer)][:1]
    np.testing.assert_allclose([end[:, 1] for end in ends], [[0.95, 1.0], [0.5, 0.6]])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    frame = axes.get_window_extent()
    numbers = [text.get_window_extent(canvas.get_renderer()) for text in axes.texts]
    assert len(numbers) == 4
    assert all(frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in numbers)
    assert axes.get_ylim()[0] == 0


def test_what_stands_beside_has_one_colour_in_all_reports():
    names = [RANDOM, NORMALISED, HANDCRAFTED, MEAN, SCRATCH, "conv", "lstm", "deepconvlstm"]
    one = plots.system_colours(["relcon", *names])
    other = plots.system_colours(["simclr", "rebar", "byol", *reversed(names)])
    assert [one[name] for name in names] == [other[name] for name in names]
    assert len(set(other.values())) == len(other)
    assert plots.system_colours(["relcon", RANDOM])["relcon"] == one["relcon"]


def test_roc_curves_have_the_areas_of_scikit_learn_and_pass_over_absent_classes():
    rng = np.random.default_rng(0)
    classes = ["a", "b", "c", "never"]
    label = rng.choice(classes[:3], 200)
    probability = rng.dirichlet(np.ones(4), 200) + (label[:, None] == np.array(classes)) * 0.3
    figure = shown(plots.roc(label, probability, classes, "ROC"))
    areas = [roc_auc_score(label == name, probability[:, k]) for k, name in enumerate(classes[:3])]
    expected = [f"{name} {area:.2f}" for name, area in zip(classes, areas, strict=False)]
    assert texts(figure) == [*expected, f"mean {np.mean(areas):.2f}"]
    mean = figure.axes[0].lines[-1]
    assert np.trapezoid(mean.get_ydata(), mean.get_xdata()) == pytest.approx(np.mean(areas), abs=0.01)


def test_one_class_alone_has_no_curve():
    figure = shown(plots.roc(np.array(["a"] * 5), np.ones((5, 1)), ["a"], "ROC"))
    assert texts(figure) == []


@pytest.mark.parametrize("systems", [1, 2, 4])
def test_a_map_shows_every_window_of_every_system_and_parts_what_is_apart(systems):
    rng = np.random.default_rng(0)
    label = np.repeat(["x", "y"], 40)
    apart = rng.standard_normal((80, 8)) + 20 * (label == "x")[:, None]
    figure = shown(plots.tsne({f"s{i}": apart for i in range(systems)}, label))
    drawn = [axes for axes in figure.axes if axes.collections]
    assert [axes.get_title() for axes in drawn] == [f"s{i}" for i in range(systems)]
    assert texts(figure) == ["x", "y"]
    for axes in drawn:
        x, y = (np.asarray(points.get_offsets()) for points in axes.collections)
        assert len(x) == len(y) == 40
        spread = max(np.linalg.norm(p - p.mean(0), axis=1).mean() for p in (x, y))
        assert np.linalg.norm(x.mean(0) - y.mean(0)) > 2 * spread


def test_a_scatter_has_windows_averages_and_the_line_of_no_error():
    target, predicted = np.array([1.0, 2.0, 4.0, 5.0]), np.array([1.5, 2.5, 3.0, 4.0])
    figure = shown(plots.scatter(target, predicted, np.array(["a", "a", "b", "b"]), "m/s", "Speed"))
    windows, people = (np.asarray(points.get_offsets()) for points in figure.axes[0].collections)
    np.testing.assert_allclose(windows, np.stack([target, predicted], 1))
    np.testing.assert_allclose(people, [[1.5, 2.0], [4.5, 3.5]])
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xdata(), line.get_ydata())
    assert figure.axes[0].get_xlabel() == "true, m/s"
