"""Publishing to a hub and loading from it, with the hub's own client against a server on this machine."""

from __future__ import annotations

import pytest
import torch

from relcon_lightning import load_encoder
from tests.integration.commands import run
from tests.integration.hub import Hub, serving

pytest.importorskip("huggingface_hub", reason="needs the extra hub")
RUN = "checkpoint=runs/watch/relcon/seed0"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with serving(token="let-me-in") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "client"))
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        yield server


def published(folder, hub: Hub, name: str, monkeypatch, *more: str, token: str = "let-me-in", code: int = 0) -> str:
    monkeypatch.setenv("HF_TOKEN", token)
    to = name.replace("/", "_")
    return run(folder, "relcon-export", RUN, f"to={to}", f"push_to_hub={name}", *more, code=code)


def test_what_is_pushed_can_be_used_by_its_address(folder, hub, monkeypatch, tmp_path):
    output = published(folder, hub, "anna/wrist", monkeypatch, "license=apache-2.0")
    assert f"{hub.address}/anna/wrist" in output
    assert hub.private == {"anna/wrist": True}
    files = hub.models["anna/wrist"]
    assert set(files) == {"README.md", "config.json", "model.safetensors"}
    assert b"license: apache-2.0" in files["README.md"]
    run(folder, "relcon-embed", "checkpoint=hf://anna/wrist", "input=data/watch", f"output={tmp_path}/hub.parquet")
    run(folder, "relcon-embed", RUN, "input=data/watch", f"output={tmp_path}/run.parquet")
    assert (tmp_path / "hub.parquet").read_bytes() == (tmp_path / "run.parquet").read_bytes()
    [weights] = (tmp_path / "client").rglob("snapshots/*/model.safetensors")
    x = torch.randn(2, 3, 256)
    assert torch.equal(load_encoder(weights.parent)(x), load_encoder(folder / "runs/watch/relcon/seed0")(x))


def test_a_new_repository_is_public_when_that_is_said(folder, hub, monkeypatch):
    published(folder, hub, "anna/open", monkeypatch, "private=false")
    assert hub.private == {"anna/open": False}


def test_what_the_hub_refuses_is_said_in_a_line(folder, hub, monkeypatch):
    output = published(folder, hub, "bo/wrist", monkeypatch, token="wrong", code=2)
    assert "bo/wrist cannot be uploaded" in output
    assert "Traceback" not in output
    assert not hub.models
    output = run(folder, "relcon-embed", "checkpoint=hf://anna/none", "input=data/watch", "output=n.parquet", code=2)
    assert "hf://anna/none cannot be fetched" in output
    assert "Traceback" not in output
