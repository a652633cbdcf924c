"""`ae-pretrained app` in a process of its own that writes down whom it asks outside this machine."""

import sys
import tempfile
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any


def main(argv: Sequence[str]) -> int:
    """Serve; argv: the file that takes what was asked for, the place of temporary files, the command's arguments."""
    asked, tempfile.tempdir, *rest = argv

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo"):
            address = arguments[1] if event == "socket.connect" else arguments
            host = address[0] if isinstance(address, tuple) else "127.0.0.1"  # a path is of this machine
            if not is_here(host):
                with Path(asked).open("a") as file:
                    file.write(f"{event} {host}\n")

    sys.addaudithook(note)
    from transfer_learning.app import main as app

    return app(rest)


def is_here(host: object) -> bool:
    """Say whether a host is this machine."""
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
