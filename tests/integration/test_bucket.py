"""Two processes train from a bucket: an S3 server of the test's own, which fails now and then."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest

from relcon_lightning.data import CohortStore
from tests.conftest import INFO, recordings
from tests.integration.commands import TINY, fork, run

pytest.importorskip("obstore", reason="the extra object-store is not installed")
pytest.importorskip("moto", reason="no S3 server to test against: moto[server] is not installed")

ADDRESS = "s3://cohorts/studies/toy"
DDP = ["model=distance", "data=folder", "data.name=toy", "trainer=ddp_cpu", "logger=csv", *TINY]
FROM_BUCKET = [*DDP, f"data.datamodule.store={ADDRESS}"]


class Flaky(BaseHTTPRequestHandler):
    """Hands requests on to a server, but answers every third with an error."""

    behind, count, failed = "", 0, 0

    def _hand_on(self) -> None:
        kind = type(self)
        kind.count += 1
        if kind.count % 3 == 0:
            kind.failed += 1
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        parts = urlsplit(kind.behind)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = _hand_on

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def bucket(tmp_path_factory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A working folder with a store that is in the bucket too, and the environment that leads there."""
    import boto3
    from moto.server import ThreadedMotoServer

    folder = tmp_path_factory.mktemp("bucket")
    store = CohortStore.write(folder / "data" / "toy", recordings({f"p{i}": [2000] * 4 for i in range(10)}), INFO)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    Flaky.behind = f"http://{host}:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    client = boto3.client(
        "s3",
        endpoint_url=Flaky.behind,
        region_name="us-east-1",
        aws_access_key_id="someone",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="cohorts")
    for file in filter(Path.is_file, Path(store.path).rglob("*")):
        client.put_object(
            Bucket="cohorts",
            Key=f"studies/toy/{file.relative_to(store.path).as_posix()}",
            Body=file.read_bytes(),
        )
    with ThreadingHTTPServer(("127.0.0.1", 0), Flaky) as flaky:
        threading.Thread(target=flaky.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{flaky.server_address[1]}"
        yield folder, {**keys, "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"}
        flaky.shutdown()
    server.stop()


def losses(folder: Path, name: str) -> list[float]:
    table = pd.read_csv(folder / "runs" / "toy" / "distance" / name / "csv" / "metrics.csv")
    return table["train/loss"].dropna().tolist()


def test_two_ranks_train_from_a_bucket_as_from_a_folder_though_requests_fail(bucket):
    folder, variables = bucket
    run(folder, "relcon-pretrain", *FROM_BUCKET, "name=bucket", variables=variables)
    assert Flaky.failed > 3
    run(folder, "relcon-pretrain", *DDP, "name=folder")
    assert losses(folder, "bucket") == losses(folder, "folder")
    assert len(losses(folder, "bucket")) == 2


def test_what_is_missing_ends_the_command_with_one_line(bucket):
    folder, variables = bucket
    elsewhere = [*DDP[:3], "trainer=cpu", "logger=csv", *TINY, "name=missing"]
    output = fork(
        folder,
        "relcon-pretrain",
        *elsewhere,
        "data.datamodule.store=s3://cohorts/studies/other",
        variables=variables,
        code=2,
    )
    assert "no cohort store at s3://cohorts/studies/other" in " ".join(output.split())
    output = fork(
        folder,
        "relcon-pretrain",
        *elsewhere,
        "data.datamodule.store=s3://nowhere/toy",
        variables=variables,
        code=2,
    )
    assert "s3://nowhere/toy" in output
    assert "NoSuchBucket" in output
    assert "Traceback" not in output
