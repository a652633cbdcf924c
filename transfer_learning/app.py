"""Try weights in a browser: drop pictures, see masks, overlays, each class's area and confidence, and Grad-CAM.

The page is served to this machine alone, and asks nothing of any other: neither fonts nor scripts come from outside. It
reads what `ae-pretrained predict` reads, computes by the same code, and keeps nothing: what was uploaded and found is
deleted when the command ends. --compare_with shows the results of a second network beside those of the first. Ctrl-C
ends it. Needs the extra [app].

    python -m transfer_learning.app --model_path runs/pretrained/best_model.safetensors
"""

import sys
from collections.abc import Sequence

from core.command import run_command
from core.errors import UserError
from core.extras import to_install
from transfer_learning.app_config import AppConfig


def app(config: AppConfig) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        UserError: the extra is not installed, no weights, weights of phase 1 or of volumes, or nothing can be served
            at this host and port.
        KeyboardInterrupt, Terminated: in the end; with a line that says so.
    """
    from importlib.util import find_spec

    if find_spec("gradio") is None:
        raise UserError(f"the page is made with gradio: {to_install('app')}")
    from transfer_learning.page.serving import opened, serve

    with opened(config.host, config.port) as door:
        if not config.is_local:
            print(
                f"note: {config.host} is more than this machine: whoever reaches it can use the page", file=sys.stderr
            )
        from transfer_learning.page.networks import Networks

        serve(Networks.load(config), door)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("transfer_learning.app", AppConfig, app, argv, section="app", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
