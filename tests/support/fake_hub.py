"""A model hub on this machine: what its client asks for downloads, answered as the real one answers it."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class FakeHub:
    """Serves `files` of every repository, at any revision.

    Set `cut` to drop the next connection after so many bytes.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.cut: int | None = None
        self.requests: list[str] = []
        self.ranges: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fetched(self) -> list[str]:
        """The files whose content was asked for, in that order."""
        return [request.rpartition("/")[2] for request in self.requests if request.startswith("GET")]

    def _handler(hub) -> type[BaseHTTPRequestHandler]:  # noqa: C901  a class within
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                _, found, rest = self.path.partition("/resolve/")
                revision, _, name = rest.partition("/")
                if not found:  # the client asks for other things once in a process
                    return self.reply(404, b"", {})
                hub.requests.append(f"{self.command} {self.path}")
                headers = {"X-Repo-Commit": revision}
                if unquote(name) not in hub.files:
                    return self.reply(404, b"", headers | {"X-Error-Code": "EntryNotFound"})
                content = hub.files[unquote(name)]
                headers |= {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Accept-Ranges": "bytes"}
                if not body:
                    return self.reply(200, content, headers)
                hub.ranges.append(self.headers["Range"])
                start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").partition("-")[0])
                if start:
                    headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                return self.reply(206 if start else 200, content[start:], headers)

            def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for key, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command == "GET":
                    cut, hub.cut = hub.cut, None
                    self.wfile.write(content[:cut])
                    self.close_connection = cut is not None

        return Handler
