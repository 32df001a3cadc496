"""The helper that compares numbers after training, and the faults that it finds."""

from __future__ import annotations

import json

import pytest
import torch

from tests import margins


def test_a_value_at_or_beyond_its_bound_fails_and_is_written_down(tmp_path, monkeypatch):
    file = tmp_path / "rows.jsonl"
    monkeypatch.setenv(margins.FILE, str(file))
    monkeypatch.setenv(margins.SEED, "3")
    margins.assert_above(torch.tensor(0.5), 0.4, "share")
    margins.assert_below(0.5, 0.6, "error")
    for compare, bound in ((margins.assert_above, 0.5), (margins.assert_below, 0.5), (margins.assert_above, 0.6)):
        with pytest.raises(AssertionError, match=r"x: 0\.5 against a bound"):
            compare(0.5, bound, "x")
    with pytest.raises(AssertionError):
        margins.assert_above(float("nan"), 0, "x")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["name"], row["bound"], row["above"]) for row in rows[:2]] == [
        ("share", 0.4, True),
        ("error", 0.6, False),
    ]
    assert {row["seed"] for row in rows} == {3}
    assert len(rows) == 6
    assert rows[0]["test"].endswith("test_a_value_at_or_beyond_its_bound_fails_and_is_written_down")


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD])
def test_a_wrong_optimizer_does_nothing_or_climbs(kind):
    for wrong, sign in (("untrained", 0), ("reversed", 1)):
        x = torch.ones(1, requires_grad=True)
        optimizer = kind([x], lr=0.1)
        handle = margins.spoil_optimizers(wrong)
        x.sum().backward()
        optimizer.step()
        handle.remove()
        assert torch.sign(x - 1) == sign


def rows(test: str, right: float, **wrong: float) -> list[dict[str, object]]:
    own = {"test": test, "name": "share", "bound": 0.5, "above": True, "seed": 0}
    return [{**own, "value": value, "wrong": name} for name, value in {"": right, **wrong}.items()]


def test_the_table_names_what_fails_and_what_passes_without_learning():
    found = [
        *rows("fails", 0.4, untrained=0.1, reversed=0.1),
        *rows("says nothing", 0.9, untrained=0.8, reversed=0.1),
        *rows("good", 0.9, untrained=0.2, reversed=0.1),
        *rows("not trained by PyTorch", 0.9, untrained=0.9, reversed=0.9),
        *(row | {"name": "loose"} for row in rows("good", 0.9, untrained=0.8, reversed=0.8)),
    ]
    text, faults = margins.table(found)
    assert faults == ["fails: share is 0.4 to 0.4, not > 0.5", "says nothing passes untrained, seed 0"]
    assert "| good | share | > 0.5 | 0.9 to 0.9 | 0.2 to 0.2 | 0.1 to 0.1 |" in text
