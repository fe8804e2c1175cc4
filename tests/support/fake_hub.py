"""A model hub on this machine: the two requests that downloads make, answered as the real one answers them."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote


class FakeHub:
    """Serves `files` of one repository. Set `cut` to drop connections after so many bytes, `broken` to refuse them."""

    def __init__(self, files: dict[str, bytes], git: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.files, self.git = files, git
        self.stated = {name: self._state(name) for name in files}
        self.cut: int | None = None
        self.broken = False
        self.requests: list[str] = []
        self.ranges: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _state(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        lfs = {"size": len(content), "oid": hashlib.sha256(content).hexdigest(), "pointerSize": 1}
        return {"type": "file", "path": name, "size": len(content), "oid": oid} | (
            {} if name in self.git else {"lfs": lfs}
        )

    def _handler(hub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                hub.requests.append(f"POST {self.path}")
                body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                paths = [hub.stated[path] for path in body["paths"] if path in hub.stated]
                self.reply(200, json.dumps(paths).encode())

            def do_GET(self) -> None:
                if "/resolve/" not in self.path:  # the client asks for other things once in a process
                    return self.reply(404, b"")
                hub.requests.append(f"GET {self.path}")
                hub.ranges.append(self.headers["Range"])
                if hub.broken:
                    return self.reply(503, b"")
                content = hub.files[unquote(self.path.rpartition("/")[2])]
                start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").partition("-")[0])
                extra = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
                self.reply(206 if start else 200, content[start:], extra)
                return None

            def reply(self, status: int, body: bytes, extra: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for key, value in {"Content-Length": str(len(body)), **(extra or {})}.items():
                    self.send_header(key, value)
                self.end_headers()
                cut = hub.cut if self.command == "GET" else None
                self.wfile.write(body[:cut])
                if cut is not None:
                    self.close_connection = True
                    hub.cut, hub.broken = None, True

        return Handler
