"""The page's server: one address of this machine, and answers that let a browser ask nobody else."""

import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.run.signals import Terminated

if TYPE_CHECKING:
    from transfer_learning.page.networks import Networks

# Gradio and what it brings neither count its users nor look for anything outside.
QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_SHARE": "False",
    "GRADIO_MCP_SERVER": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
# What a page may load, and from where: a browser asks nobody but this server, whatever a script of Gradio's says.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
GRACE_SECONDS = 1  # open pages hold a connection on which they wait

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


@contextmanager
def opened(host: str, port: int) -> Iterator[socket.socket]:
    """Open the door: a socket that listens, before weights are read.

    Raises:
        UserError: the port is taken or not ours to take, or the host is none of this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        door = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UserError(f"host {host} is no address of this machine ({error}): give --host 127.0.0.1") from None
    with door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind(address)
            door.listen()
        except OSError as error:
            raise UserError(_why_closed(error, host, port)) from None
        yield door


def _why_closed(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken: give another --port (0 takes one that is free)"
    if error.errno == errno.EACCES:
        return f"port {port} is not yours to take: give a --port above 1023"
    return f"host {host} cannot be served ({error.strerror or error}): give --host 127.0.0.1"


def serve(networks: "Networks", door: socket.socket) -> None:
    """Serve the page until Ctrl-C; what was uploaded and found is deleted then.

    Raises:
        KeyboardInterrupt, Terminated: in the end.
    """
    with TemporaryDirectory(prefix="ae-pretrained-app-") as folder, environment({**QUIET, "GRADIO_TEMP_DIR": folder}):
        import uvicorn
        from fastapi import FastAPI

        from transfer_learning.page.gradio_page import mount

        application = mount(FastAPI(openapi_url=None), networks, Path(folder))
        config = uvicorn.Config(
            Guarded(application), log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_SECONDS
        )
        server = uvicorn.Server(config)
        # Open pages wait for news on a connection, whose end it would tell of with a traceback each.
        logging.getLogger("uvicorn.error").addFilter(lambda record: not server.should_exit)
        print(f"the page is at {address_of(door)} (Ctrl-C ends it)", flush=True)
        try:
            server.run(sockets=[door])
        except (KeyboardInterrupt, Terminated) as stop:
            raise type(stop)("the page is closed; the same command opens it again") from None


def address_of(door: socket.socket) -> str:
    """Return the address at which the page is."""
    host, port = door.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class Guarded:
    """An ASGI application whose answers say what a browser may load."""

    def __init__(self, application: Callable[..., Awaitable[None]]) -> None:
        self.application = application

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        """Answer a request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        await self.application(scope, receive, guarded)


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment, and put them back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
