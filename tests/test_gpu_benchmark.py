"""The benchmark for a GPU works as a whole, on the CPU at a tiny size."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import correctness, gpu
from benchmarks.bench import Bench, Values
from relcon_lightning.losses import relative_contrastive


def test_everything_is_measured_and_told_in_a_table(tmp_path: Path, monkeypatch, capsys):
    file = tmp_path / "gpu.json"
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--small", "--json", str(file)])
    gpu.main()
    found = json.loads(file.read_text())
    assert not [name for name, part in found.items() if isinstance(part, dict) and "failed" in part]
    assert set(gpu.PARTS) <= found.keys()
    assert set(found["correctness"]["methods"]) == set(correctness.METHODS)
    assert all(0 <= own["relative_error"] < correctness.LOSS_ERROR for own in found["correctness"]["methods"].values())
    assert set(found["step"]["eager"]["parts_ms"]) == {"distances", "encoder", "loss", "optimizer"}
    assert found["step"]["eager"]["ms"] > 0
    assert "compiled" not in found["step"]  # takes a minute on a CPU
    assert found["embedding"]["float32"]["s_per_day"] > 0
    last = capsys.readouterr().out.rpartition("TINY SIZES\n")[2].splitlines()
    assert [line.split("  ")[0] for line in last][:1] == ["rank agreement of bfloat16 distances"]
    assert any(line.startswith("step, eager") for line in last)


def test_a_part_that_fails_is_named_and_the_others_go_on(tmp_path: Path, monkeypatch, capsys):
    def broken(_: Bench) -> Values:
        raise RuntimeError("out of memory\nmore")

    monkeypatch.setattr(gpu, "PARTS", dict.fromkeys(gpu.PARTS, broken) | {"ceiling": gpu.ceiling})
    file = tmp_path / "gpu.json"
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--small", "--json", str(file)])
    with pytest.raises(SystemExit) as end:
        gpu.main()
    assert end.value.code == 1
    assert json.loads(file.read_text())["step"] == {"failed": "RuntimeError: out of memory"}
    assert json.loads(file.read_text())["ceiling"]["float32"] > 0
    assert "step  " in capsys.readouterr().out


def test_a_wrong_loss_is_not_passed(monkeypatch):
    bench = Bench(gpu.SMALL, torch.device("cpu"), 0)
    right = relative_contrastive
    monkeypatch.setattr(correctness, "relative_contrastive", lambda s, d: 1.001 * right(s, d))
    with pytest.raises(AssertionError, match=r"the loss is off by 0\.001"):
        correctness._loss_error(bench)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu"])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "there is no GPU here" in capsys.readouterr().err
