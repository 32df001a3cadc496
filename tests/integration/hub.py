"""A small Hugging Face Hub: the part of its HTTP interface that the client needs to upload and download a model."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

COMMIT = "0123456789" * 4


class Hub(ThreadingHTTPServer):
    """Models by name, each a mapping from path to content, and the names of private models."""

    daemon_threads = True

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.models: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(token: str) -> Iterator[Hub]:
    with Hub(token) as hub:
        thread = Thread(target=hub.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._json({"error": "Invalid credentials"}, 401)
        elif self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif self.path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif re.fullmatch(r"/api/models/(.+)/preupload/main", self.path):
            paths = [file["path"] for file in json.loads(body)["files"]]
            self._json({"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in paths]})
        elif match := re.fullmatch(r"/api/models/(.+)/commit/main", self.path):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.models[match[1]][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"{self.server.address}/{match[1]}/commit/{COMMIT}"
            self._json({"success": True, "commitOid": COMMIT, "commitUrl": url})
        else:
            self._json({"error": "unknown address"}, 404)

    def do_GET(self) -> None:
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/main)?(?:\?.*)?", self.path):
            self._describe(match[1])
        elif match := re.fullmatch(rf"/api/models/([^/]+/[^/]+)/tree/{COMMIT}(?:\?.*)?", self.path):
            files = self.server.models[match[1]].items()
            listed = [{"type": "file", "path": p, "size": len(c), "oid": hashlib.sha1(c).hexdigest()} for p, c in files]
            self._json(listed)
        elif match := re.fullmatch(rf"/([^/]+/[^/]+)/resolve/(?:main|{COMMIT})/(.+)", self.path):
            self._file(match[1], match[2])
        else:
            self._json({"error": "unknown address"}, 404)

    do_HEAD = do_GET

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        self.server.models.setdefault(name, {})
        self.server.private.setdefault(name, asked.get("private", asked.get("visibility") == "private"))
        self._json({"url": f"{self.server.address}/{name}", "name": name})

    def _describe(self, name: str) -> None:
        if name not in self.server.models:
            return self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        siblings = [{"rfilename": path} for path in self.server.models[name]]
        return self._json({"id": name, "sha": COMMIT, "private": self.server.private[name], "siblings": siblings})

    def _file(self, name: str, path: str) -> None:
        content = self.server.models.get(name, {}).get(path)
        if content is None:
            return self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        etag = hashlib.sha256(content).hexdigest()
        return self._send(content, 200, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def _json(self, content: Any, code: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(content).encode(), code, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, content: bytes, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
