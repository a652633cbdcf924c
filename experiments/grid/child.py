"""A process of the grid: a training, then its scoring, in one process, since loading the libraries takes seconds.

    python -m experiments.grid.child '[["transfer_learning.train", ["--lr", "0.003"]], …]'

Its standard input is a pipe from the process that started it. When that is gone, however it went, this one gets
SIGTERM from itself: a training saves its state and leaves, instead of going on unseen.
"""

import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run commands one after the other; returns the exit code of the first that fails, else 0."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    for module, arguments in json.loads(argv[0]):
        code = importlib.import_module(module).main(arguments)
        if code:
            return code
    return 0


def _leave_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
