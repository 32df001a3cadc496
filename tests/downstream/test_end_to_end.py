"""Training a whole net on labels: what it learns, what it may look at, that a seed fixes it."""

from __future__ import annotations

import lightning as L
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from sklearn.metrics import f1_score
from torch import nn

from relcon_lightning.cli.app import config_folder
from relcon_lightning.cli.systems import classifiers
from relcon_lightning.downstream.end_to_end import EndToEndProbe
from relcon_lightning.methods.supervised import Supervised
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.checkpoint_format import FORMAT, KEY
from relcon_lightning.runs.compare import MethodRuns
from relcon_lightning.runs.networks import build, seeded
from tests.margins import assert_above

SMALL = seeded({"_target_": "relcon_lightning.nets.ConvNet", "widths": [8, 8], "dropout": 0.0})


def data(n: int, seed: int, classes: tuple[str, ...] = ("row", "run", "walk")) -> tuple[np.ndarray, np.ndarray]:
    """Sine waves whose frequency is the class."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, len(classes), n)
    phase = 2 * np.pi * ((1 + 3 * label)[:, None] * np.arange(48) / 48 + rng.random((n, 1)))
    x = np.stack([np.sin(phase), np.cos(phase), np.ones_like(phase)], axis=1)
    return (x + 0.1 * rng.standard_normal(x.shape)).astype(np.float32), np.array(classes)[label]


def probe(**options) -> EndToEndProbe:
    return EndToEndProbe(SMALL, **{"max_epochs": 8, "learning_rate": 1e-2, "batch_size": 16, **options})


def test_learns_what_can_be_learnt(training_seed):
    x, label = data(240, 0)
    fitted = probe().fit(x, label, *data(60, 1), seed=training_seed)
    test, truth = data(100, 2)
    probability = fitted.predict_proba(test)
    assert fitted.classes == ["row", "run", "walk"]
    np.testing.assert_allclose(probability.sum(1), 1, rtol=1e-5)
    guess = np.array(fitted.classes)[probability.argmax(1)]
    assert_above(f1_score(truth, guess, average="macro"), 0.95, "macro F1")


def test_a_seed_fixes_it_and_the_global_generator_is_left_alone():
    x, label = data(60, 0)
    test, _ = data(20, 2)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    a, b, c = (probe(max_epochs=2).fit(x, label, *data(20, 1), seed=s).predict_proba(test) for s in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    elsewhere = probe(max_epochs=2).fit(x, label, *data(20, 1), seed=0).predict_proba(test)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, elsewhere)
    assert not np.array_equal(a, c)


def test_the_epoch_that_is_best_on_the_validation_people_is_kept():
    """Labels that mean nothing are scored up and down by chance; a run that ends later keeps the best epoch."""
    x, label = data(64, 0)
    x_val, label_val = data(64, 1)
    label_val = np.random.default_rng(4).permutation(label_val)
    kept = probe(max_epochs=6, learning_rate=3e-2, patience=6).fit(x, label, x_val, label_val)
    score = f1_score(label_val, np.array(kept.classes)[kept.predict_proba(x_val).argmax(1)], average="macro")
    epochs = [probe(max_epochs=k, learning_rate=3e-2, patience=9).fit(x, label, x_val, label_val) for k in range(1, 7)]
    scores = [
        f1_score(label_val, np.array(p.classes)[p.predict_proba(x_val).argmax(1)], average="macro") for p in epochs
    ]
    assert score == max(scores)


def test_classes_that_training_lacks_are_no_part_of_the_choice():
    x, label = data(60, 0, ("row", "run"))
    fitted = probe(max_epochs=1).fit(x, label, *data(30, 1, ("row", "run", "walk")))
    assert fitted.classes == ["row", "run"]
    assert fitted.predict_proba(x).shape == (60, 2)


def test_one_window_more_than_a_batch_does_not_break_batch_normalisation():
    class Normalised(nn.Module):
        dim = 3

        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.norm(x.mean(-1))
            return out

    x, label = data(17, 0)
    fitted = EndToEndProbe(lambda _: Normalised(), batch_size=16, max_epochs=1).fit(x, label, *data(9, 1))
    assert np.isfinite(fitted.predict_proba(x)).all()


def test_the_net_itself_learns_not_the_head_alone():
    net = SMALL(0)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    EndToEndProbe(lambda _: net, max_epochs=1).fit(*data(64, 0), *data(16, 1))
    assert all(not torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_the_head_has_the_hidden_layer_that_is_asked_for():
    for hidden, widths in ((512, [(8, 512), (512, 3)]), (None, [(8, 3)])):
        probe = EndToEndProbe(SMALL, max_epochs=1, hidden=hidden)
        probe.fit(*data(64, 0), *data(16, 1))
        layers = [layer for layer in probe._model.head if isinstance(layer, nn.Linear)]
        assert [(layer.in_features, layer.out_features) for layer in layers] == widths


def test_fine_tuned_nets_get_the_hidden_layer_of_the_probe_and_baselines_do_not(tmp_path):
    encoder = {"_target_": "relcon_lightning.nets.ResNet1d", "widths": [4], "depths": [1], "kernel_sizes": [3]}
    weights = {f"encoder.{name}": value for name, value in build(encoder).state_dict().items()}
    config = {"model": {"name": "relcon", "method": {"encoder": encoder}}}
    entry = {"format": FORMAT, "version": "0", "config": config, "participants": {"salt": "s", "hashes": []}}
    torch.save({"state_dict": weights, KEY: entry}, tmp_path / "last.ckpt")
    trained = [MethodRuns("relcon", (Checkpoint.read(tmp_path / "last.ckpt"),))]
    with initialize_config_dir(config_folder(), version_base="1.3"):
        chosen = ["run_dir=here", "checkpoint=x", "probe=finetune", "baseline=[conv]"]
        systems = classifiers(compose("eval", chosen), trained)
    probes = {system.name: system.probe() for system in systems}
    hidden = {name: probe.hidden for name, probe in probes.items() if isinstance(probe, EndToEndProbe)}
    assert list(hidden.values()) == [512, 512, None]
    assert next(iter(hidden)).endswith("fine-tuned")


def test_the_logged_f1_is_that_of_scikit_learn():
    torch.manual_seed(0)
    model = Supervised(SMALL(0), 3)
    x, label = data(50, 3)
    y = torch.from_numpy(np.searchsorted(["row", "run", "walk"], label))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(x), y), 16)
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    [found] = trainer.validate(model, loader, verbose=False)
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(x))
    assert found["val/f1"] == pytest.approx(f1_score(y, logits.argmax(1), average="macro"))
    assert found["val/loss"] == pytest.approx(float(nn.functional.cross_entropy(logits, y)), rel=1e-5)
