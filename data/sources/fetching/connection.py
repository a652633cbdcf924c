"""Connections that are given up where a server sends next to nothing, be it headers or content."""

import io
import time
import urllib.request
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any

_TIMEOUT_SECONDS = 60  # without a byte
_SLOWEST, _WINDOW_SECONDS = 1000, 60  # bytes a second, over so long


def connect(request: urllib.request.Request) -> HTTPResponse:
    """Send a request; returns the answer, whose headers are there, its content to be read.

    Raises:
        TimeoutError: nothing comes, or too little; reading the answer may raise it too.
        OSError, HTTPException, ValueError: the network or the server failed.
    """
    response: HTTPResponse = urllib.request.build_opener(_Http, _Https).open(request, timeout=_TIMEOUT_SECONDS)
    return response


class _Watched(io.RawIOBase):
    """The bytes of a connection, as long as enough of them come: a server that drips never runs into a timeout."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._since, self._arrived = time.monotonic(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count: int | None = self._raw.readinto(buffer)
        self._arrived += count or 0
        seconds = time.monotonic() - self._since
        if seconds >= _WINDOW_SECONDS and count:
            if self._arrived < _SLOWEST * seconds:
                raise TimeoutError(f"only {self._arrived} bytes came in {seconds:.0f} s")
            self._since, self._arrived = time.monotonic(), 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.fp: io.BufferedReader = io.BufferedReader(_Watched(self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Connection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_SecureConnection, req)
