"""A search asks Optuna for the values of jobs, and goes on where it was stopped."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from relcon_lightning.cli.choices import checked
from relcon_lightning.errors import ConfigError

optuna = pytest.importorskip("optuna", reason="the extra optuna is not installed")
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402

from relcon_lightning.cli.app import config_folder  # noqa: E402
from relcon_lightning.cli.search import distribution, search  # noqa: E402

SPACE = ["model=simclr", "x=interval(0,4)", "kind=a,b"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("x=interval(1,5)", FloatDistribution(1, 5)),
        ("x=int(interval(1,5))", IntDistribution(1, 5)),
        ("x=tag(log,interval(0.1,1))", FloatDistribution(0.1, 1, log=True)),
        ("x=tag(log,int(interval(1,64)))", IntDistribution(1, 64, log=True)),
        ("x=range(1,10,2)", IntDistribution(1, 9, step=2)),
        ("x=range(0,1,0.5)", CategoricalDistribution(["0.0", "0.5"])),
        ("x=a,null,'b c'", CategoricalDistribution(["a", "null", "'b c'"])),
        ("x=[1,2],[3]", CategoricalDistribution(["[1,2]", "[3]"])),
        ("x=1,2", CategoricalDistribution(["1", "2"])),
    ],
)
def test_hydras_words_are_optunas_values(word, expected):
    [parsed] = OverridesParser.create().parse_overrides([word])
    assert distribution(parsed) == expected


@pytest.mark.parametrize("word", ["x=interval(5,1)", "x=tag(log,interval(0,1))"])
def test_values_that_cannot_be_searched_are_named(word):
    [parsed] = OverridesParser.create().parse_overrides([word])
    with pytest.raises(ConfigError, match=r"x=.*interval"):
        distribution(parsed)


class Jobs:
    """A launcher whose jobs return what ``value`` makes of their overrides."""

    def __init__(self, value):
        self.value, self.launched = value, []

    def launch(self, jobs, initial_job_idx):
        returns = []
        for words in jobs:
            self.launched.append(words)
            given = dict(word.split("=", 1) for word in words)
            returns.append(SimpleNamespace(return_value=self.value(given), overrides=words))
        return returns


def run(folder, jobs, *, trials=12, parallel=1, words=SPACE, **config):
    options = SimpleNamespace(trials=trials, parallel=parallel, seed=0, study=str(folder / "study.log"))
    known = {"objective": "val/loss", "objective_direction": None, **config}
    search(options, words, OmegaConf.create(known), jobs, None)


def near_one(given):
    return (float(given["x"]) - 1) ** 2 + (given["kind"] == "b")


def test_the_best_is_found_and_named(tmp_path, caplog):
    caplog.set_level("INFO")
    jobs = Jobs(near_one)
    run(tmp_path, jobs, trials=25)
    assert len(jobs.launched) == 25
    assert all(words[0] == "model=simclr" and len(words) == 3 for words in jobs.launched)
    values = [near_one(dict(word.split("=", 1) for word in words)) for words in jobs.launched]
    assert f"Best of 25 jobs of the search: val/loss {min(values):.4f} with x=" in caplog.text
    assert min(values[10:]) < 0.1  # also of those that Optuna chose by the results
    assert sum(values[15:]) / 10 < sum(values[:10]) / 10


def test_the_direction_is_that_of_the_objective(tmp_path, caplog):
    caplog.set_level("INFO")
    jobs = Jobs(lambda given: float(given["x"]))
    run(tmp_path, jobs, trials=4, objective="val/knn_f1")
    highest = max(float(words[1].split("=")[1]) for words in jobs.launched)
    assert f"val/knn_f1 {highest:.4f} with" in caplog.text


def test_it_goes_on_without_the_jobs_that_are_done_and_again_with_the_one_that_was_stopped(tmp_path):
    def stop(given):
        if len(first.launched) == 4:
            raise SystemExit(130)
        return near_one(given)

    first, second, third = Jobs(stop), Jobs(near_one), Jobs(near_one)
    with pytest.raises(SystemExit):
        run(tmp_path, first, trials=6)
    run(tmp_path, second, trials=6, words=[*SPACE, "resume=auto"])
    assert len(second.launched) == 3
    again = [word for word in second.launched[0] if word != "resume=auto"]
    assert again == first.launched[-1]
    assert not {tuple(words) for words in first.launched[:3]} & {tuple(words) for words in second.launched}
    run(tmp_path, third, trials=8)
    assert len(third.launched) == 2


def test_another_search_does_not_go_on_with_the_file(tmp_path):
    run(tmp_path, Jobs(near_one), trials=1)
    for changes in ({"words": [*SPACE[:2], "kind=b,c"]}, {"objective_direction": "maximize"}):
        with pytest.raises(ConfigError, match="belongs to another search"):
            run(tmp_path, Jobs(near_one), **changes)


def test_failed_jobs_and_values_that_are_no_numbers_are_passed_over(tmp_path):
    values = iter([None, float("nan"), "text", 0.5, 0.25])
    jobs = Jobs(lambda given: next(values))
    run(tmp_path, jobs, trials=5, parallel=2)
    assert len(jobs.launched) == 5
    with pytest.raises(ConfigError, match="None of the 2 jobs of the search returned val/loss"):
        run(tmp_path / "none", Jobs(lambda given: None), trials=2)


def test_values_that_were_tried_are_not_tried_again(tmp_path):
    jobs = Jobs(lambda given: float(given["kind"] == "b"))
    run(tmp_path, jobs, trials=8, words=["kind=a,b"])
    assert sorted(words[0] for words in jobs.launched) == ["kind=a", "kind=b"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": ["model=simclr"]}, "nothing to search"),
        ({"objective": None}, "objective=null has no known direction"),
        ({"objective": "val/mine"}, "set objective_direction"),
        ({"trials": 0}, "expected 1 or more"),
        ({"words": ["model=distance,simclr"], "objectives": {"distance": "val/loss"}}, "set objective="),
    ],
)
def test_a_search_that_cannot_begin_says_why(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, Jobs(near_one), **changes)


def test_it_needs_several_jobs_and_the_extra(monkeypatch):
    assert checked(config_folder(), ["-m", "+search=optuna"]) == ["-m", "+search=optuna"]
    with pytest.raises(ConfigError, match="add -m"):
        checked(config_folder(), ["+search=optuna"])
    monkeypatch.setattr("relcon_lightning.cli.choices.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'relcon-lightning\[optuna\]'"):
        checked(config_folder(), ["-m", "+search=optuna"])
