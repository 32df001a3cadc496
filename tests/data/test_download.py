"""Downloads from a server of the test's own that can break off."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from relcon_lightning.data.download import download
from relcon_lightning.errors import DataError

CONTENT = bytes(range(256)) * 4096
SUM = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    break_after: int | None = None
    ranges = True
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if self.path != "/set.zip":
            self.send_error(404)
            return
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if first >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(CONTENT) - first))
        self.end_headers()
        stop = self.server.break_after
        self.wfile.write(CONTENT[first:stop])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.asked = []
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def url(server: Server, name: str = "set.zip") -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/{name}"


@pytest.mark.parametrize("known", [SUM, None])
def test_a_file_is_fetched_once(server, tmp_path, known):
    path = download(url(server), tmp_path / "raw", "x.zip", known)
    assert path.read_bytes() == CONTENT
    assert download(url(server), tmp_path / "raw", "x.zip", known) == path
    assert len(server.asked) == 1
    assert not list(path.parent.glob("*.part"))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path, ranges):
    server.break_after, server.ranges = 300_000, ranges
    with pytest.raises(DataError, match=r"set\.zip cannot be fetched .* The downloaded part is kept"):
        download(url(server), tmp_path, "x.zip", SUM)
    assert not (tmp_path / "x.zip").exists()
    assert 0 < (tmp_path / "x.zip.part").stat().st_size <= 300_000
    have = (tmp_path / "x.zip.part").stat().st_size
    server.break_after = None
    assert download(url(server), tmp_path, "x.zip", SUM).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={have}-"]


def test_a_part_that_is_the_whole_file_is_taken(server, tmp_path):
    (tmp_path / "x.zip.part").write_bytes(CONTENT)
    assert download(url(server), tmp_path, "x.zip", SUM).read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_no_file(server, tmp_path):
    with pytest.raises(DataError, match=r"set\.zip is not the expected file"):
        download(url(server), tmp_path, "x.zip", "0" * 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("known", [SUM, None])
def test_a_file_that_was_changed_since_is_named(server, tmp_path, known):
    path = download(url(server), tmp_path, "x.zip", known)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"x\.zip was damaged or changed .*: delete it and try again"):
        download(url(server), tmp_path, "x.zip", known)
    path.unlink()
    assert download(url(server), tmp_path, "x.zip", known).read_bytes() == CONTENT


def test_an_answer_that_is_no_file_is_named(server, tmp_path):
    with pytest.raises(DataError, match="404"):
        download(url(server, "else.zip"), tmp_path, "x.zip")
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match="cannot be fetched"):
        download(url(server), tmp_path, "x.zip")
    assert list(tmp_path.iterdir()) == []
