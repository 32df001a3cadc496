"""W&B where there is no network, no key or no answer."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import wandb

from relcon_lightning.training import loggers

KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """A home folder of its own, and no variables of W&B."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    yield monkeypatch
    wandb.teardown()


@pytest.fixture
def silent_server():
    """Takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def mode(tmp_path):
    return loggers.wandb_logger(tmp_path / "run", project="x")._wandb_init["mode"]


def test_without_a_key_it_is_offline(apart, tmp_path):
    assert mode(tmp_path) == "offline"


@pytest.mark.parametrize("said", [None, "online"])
def test_with_a_key_and_no_network_it_is_offline_within_seconds_and_says_so(apart, tmp_path, caplog, said):
    apart.setenv("WANDB_API_KEY", KEY)
    apart.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    if said:
        apart.setenv("WANDB_MODE", said)
    begun = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert mode(tmp_path) == "offline"
    assert time.monotonic() - begun < 30
    assert "http://127.0.0.1:9 does not answer. This run is logged offline" in caplog.text
    assert f"wandb sync {tmp_path}/run/wandb/offline-run-*" in caplog.text


def test_a_server_that_is_silent_counts_as_none(apart, tmp_path, silent_server):
    apart.setenv("WANDB_API_KEY", KEY)
    apart.setenv("WANDB_BASE_URL", silent_server)
    apart.setattr(loggers, "_PROBE_S", 0.3)
    assert mode(tmp_path) == "offline"


@contextmanager
def serving(handler):
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def tiring_server():
    """Answers a number of requests and then never again."""

    class Handler(BaseHTTPRequestHandler):
        left = 0
        status = 200

        def do_POST(self):
            Handler.left -= 1
            if Handler.left < 0:
                ended.wait(60)
            self.send_response(Handler.status)
            self.end_headers()
            self.wfile.write(b"{}")

        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    ended = threading.Event()
    with serving(Handler) as address:
        yield address, Handler
        ended.set()


@pytest.mark.parametrize("answered", [0, 2])
def test_a_server_that_falls_silent_is_given_up_soon(apart, tmp_path, caplog, tiring_server, answered):
    address, handler = tiring_server
    apart.setenv("WANDB_API_KEY", KEY)
    apart.setenv("WANDB_BASE_URL", address)
    apart.setattr(loggers, "_has_key", lambda: True)  # which could ask the server
    apart.setattr(loggers, "_PROBE_S", 0.5)
    apart.setattr(loggers, "_START_S", 1.0)
    handler.left = answered
    begun = time.monotonic()
    logger = loggers.wandb_logger(tmp_path / "run", project="x")
    loggers.begin(logger)
    assert time.monotonic() - begun < 25  # W&B's own limits are 90 s and more
    assert logger._wandb_init["mode"] == "offline"
    assert "This run is logged offline" in caplog.text
    wandb.finish()
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))


@pytest.mark.parametrize(
    ("status", "why"),
    [(401, "error 401"), (429, "answers with 429 Too Many Requests"), (503, "answers with 503 Service Unavailable")],
)
def test_a_key_that_is_refused_and_a_server_that_is_busy_are_told_in_one_line(
    apart, tmp_path, caplog, tiring_server, status, why
):
    address, handler = tiring_server
    apart.setenv("WANDB_API_KEY", KEY)
    apart.setenv("WANDB_BASE_URL", address)
    handler.left, handler.status = 1000, status
    begun = time.monotonic()
    logger = loggers.wandb_logger(tmp_path / "run", project="x")
    loggers.begin(logger)
    logger.log_metrics({"loss": 1.0}, step=0)
    loggers.finish([logger])
    assert time.monotonic() - begun < 15
    [record] = [record for record in caplog.records if record.name == loggers.__name__]
    assert why in record.message
    assert "This run is logged offline" in record.message


def test_a_server_that_refuses_at_the_start_leaves_an_offline_run(apart, tmp_path, caplog):
    logger = loggers.wandb_logger(tmp_path / "run", project="x")
    real = wandb.init

    def init(**kwargs):
        if kwargs.get("mode") != "offline":
            raise wandb.errors.CommError("user is not logged in\nand more")
        return real(**kwargs)

    apart.setattr(wandb, "init", init)
    logger._wandb_init["mode"] = "online"
    loggers.begin(logger)
    assert "W&B: user is not logged in. This run is logged offline" in caplog.text
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))
    wandb.finish()


@pytest.fixture
def server_of_a_run():
    """Takes a run and what it logs, until it falls silent."""

    class Handler(BaseHTTPRequestHandler):
        silent = False

        def do_POST(self):
            asked = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if Handler.silent:
                ended.wait(60)
            project = {"id": "p", "name": "x", "entity": {"id": "e", "name": "me"}}
            variables = json.loads(asked).get("variables", {}) if asked.startswith(b'{"') else {}
            name = variables.get("name", "x")
            bucket = {"id": "aWQ=", "name": name, "displayName": "x", "config": "{}", "project": project}
            viewer = {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}
            content = {
                "upsertBucket": {"bucket": {**bucket, "historyLineCount": 0}, "inserted": True},
                "createRunFiles": {"runID": "aWQ=", "uploadHeaders": [], "files": []},
                "viewer": viewer,
            }
            text = json.dumps({"data": {key: value for key, value in content.items() if key.encode() in asked}})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    ended = threading.Event()
    with serving(Handler) as address:
        yield address, Handler
        ended.set()


def test_a_server_that_falls_silent_in_mid_run_costs_only_seconds_at_the_end(apart, tmp_path, caplog, server_of_a_run):
    address, handler = server_of_a_run
    apart.setenv("WANDB_API_KEY", KEY)
    apart.setenv("WANDB_BASE_URL", address)
    apart.setattr(loggers, "_has_key", lambda: True)
    apart.setattr(loggers, "_END_S", 1.0)
    logger = loggers.wandb_logger(tmp_path / "run", project="x")
    loggers.begin(logger)
    assert logger._wandb_init["mode"] == "online"
    logger.log_metrics({"loss": 1.0}, step=0)
    handler.silent = True
    begun = time.monotonic()
    logger.log_metrics({"loss": 0.5}, step=1)
    assert time.monotonic() - begun < 10
    loggers.finish([logger])
    assert time.monotonic() - begun < 45
    assert "W&B: the server did not accept everything within 1 s. The log is on this machine" in caplog.text
    folder = Path(re.search(r"wandb sync (\S+)", caplog.text)[1])
    assert list(folder.glob("*.wandb"))


def test_training_goes_on_when_the_process_of_wandb_has_ended(apart, tmp_path, caplog):
    logger = loggers.wandb_logger(tmp_path / "run", project="x")
    loggers.begin(logger)
    calls = []

    def log(*_, **__):
        calls.append(1)
        raise ConnectionResetError("Connection lost")

    apart.setattr(wandb.run, "log", log)
    for step in range(3):
        logger.log_metrics({"loss": 1.0}, step=step)
    assert len(calls) == 1  # it is not tried again
    loggers.finish([logger])
    assert "W&B: Connection lost. The log is on this machine" in caplog.text
    assert wandb.run is None
    loggers.finish([logger])  # nothing is left to end


def test_an_error_at_the_end_is_one_line(apart, tmp_path, caplog):
    loggers.begin(loggers.wandb_logger(tmp_path / "run", project="x"))
    real = wandb.finish

    def finish():
        real()
        raise BrokenPipeError(32, "Broken pipe")

    apart.setattr(wandb, "finish", finish)
    loggers.finish()
    [record] = [record for record in caplog.records if "The log is on" in record.message]
    assert "Broken pipe" in record.message
