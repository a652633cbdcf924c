"""A server of files on this machine that answers as badly as it is told to, for the tests of downloads."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

CONTENT = np.random.default_rng(0).bytes(300_000)
NAME = "images.tar.gz"
DRIP_SECONDS = 0.02


class Server(ThreadingHTTPServer):
    """Serves `files`.

    Attributes:
        files: name -> content.
        said: the length that it says: True the right one, None none.
        cut: after how many bytes of an answer it hangs up; stall: after how many it falls silent.
        ranges: whether it can go on from the middle; head: whether it tells of a file without sending it.
        drip: whether it sends "headers" or "content" a byte now and then.
        asked: the ranges that were asked for, None for a whole file.
    """

    daemon_threads, block_on_close = True, False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {NAME: CONTENT}
        self.said, self.cut, self.stall, self.ranges, self.head, self.drip, self.asked = (
            True,
            None,
            None,
            True,
            True,
            "",
            [],
        )

    def url(self, name: str = NAME) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"

    def handle_error(self, *_):
        """A reader who leaves is what tests want."""


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        content = self.server.files.get(self.path[1:])
        if content is None or not self.server.head:
            self.send_error(404 if content is None else 405)
            return
        self.send_response(200)
        self.say_length(content, 0)
        self.end_headers()

    def do_GET(self):
        server, asked, content = self.server, self.headers.get("Range"), self.server.files.get(self.path[1:])
        server.asked.append(asked)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and server.ranges else 0
        if content is None or start >= len(content):
            self.send_error(404 if content is None else 416)
            return
        if server.drip == "headers":
            self.drip(b"HTTP/1.1 200 OK\r\nSlow: " + bytes(1000).replace(b"\0", b"."))
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.say_length(content, start)
        self.end_headers()
        if server.drip:
            self.drip(content[start:])
        elif server.stall is not None:
            self.wfile.write(content[start : start + server.stall])
            self.wfile.flush()
            time.sleep(1)
        else:
            self.wfile.write(content[start:][: server.cut])

    def say_length(self, content: bytes, start: int) -> None:
        """Say a length: of the whole where what is told is too large, else of each answer."""
        said = len(content) if self.server.said is True else self.server.said
        if isinstance(said, int):
            rest, more = len(content) - start, said - len(content)
            said = str(rest + more if more > 0 else min(said, rest))
        if said:
            self.send_header("Content-Length", said)

    def drip(self, content: bytes) -> None:
        """Send a byte now and then, till the reader leaves."""
        for byte in content:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(DRIP_SECONDS)

    def log_message(self, *_):
        pass


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()
