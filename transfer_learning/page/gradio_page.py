"""The page in a browser: the one file that knows Gradio.

Every event goes through Gradio's queue and hands its user's results on in a state of that user's own: nothing of them
is shared. What computes has one place in the queue.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import gradio as gr

from core.command import one_line
from core.errors import RunError, UserError
from core.files import read_text
from core.terminal.screen import visible
from data.pictures import MAX_PIXELS
from data.sources.fetching.addresses import MOST_BYTES
from transfer_learning.page.downloads import FORMATS, USUAL, pack
from transfer_learning.page.found import Answer
from transfer_learning.page.markup import introduction, of_picture, unread
from transfer_learning.page.networks import Networks

MOST_FILES = 50
LIMITS = (
    f"Pictures of any format that <code>ae-pretrained predict</code> reads, {MOST_BYTES // 10**6} MB and "
    f"{MAX_PIXELS // 10**6} megapixels each at most, {MOST_FILES} at a time. Nothing leaves the machine that serves "
    "this page, and uploads are deleted when it closes."
)
SWEEP_SECONDS, OLDEST_UPLOAD_SECONDS = 3600, 24 * 3600
# Of the system alone: Gradio's own themes bring fonts, some from the network.
THEME = gr.themes.Default(
    primary_hue="blue",
    neutral_hue="gray",
    font=("system-ui", "sans-serif"),
    font_mono=("ui-monospace", "monospace"),
)
CSS = Path(__file__).with_name("page.css")


class Page:
    """The page's components and what happens when they are used.

    Args:
        networks: what segments.
        folder: for the files of all results.
    """

    def __init__(self, networks: Networks, folder: Path) -> None:
        self.networks, self.folder = networks, folder

    def blocks(self) -> gr.Blocks:
        """Lay the page out."""
        sweep = (SWEEP_SECONDS, OLDEST_UPLOAD_SECONDS)
        with gr.Blocks(title="ae-pretrained", analytics_enabled=False, delete_cache=sweep) as blocks:
            gr.HTML(introduction(self.networks.lookers, LIMITS))
            files = gr.File(label="Pictures", file_count="multiple", height=150, elem_id="files")
            answer = gr.State(None, time_to_live=None, delete_callback=_forget)
            which = gr.Dropdown([], label="Show", visible=False, elem_id="which")
            refused = gr.HTML(visible=False, elem_id="unread")
            result = gr.HTML(elem_id="result")
            choices = [(row.title, name) for name, row in FORMATS.items()]
            formats = gr.CheckboxGroup(choices, value=[*USUAL], label="Download", visible=False, elem_id="formats")
            packed = gr.DownloadButton("Download as ZIP", variant="primary", visible=False, elem_id="packed")
            shown = [answer, which, refused, result, formats, packed]
            of_network = {"concurrency_id": "network", "concurrency_limit": 1}
            hidden = {"api_visibility": "private", "show_progress_on": result}
            files.change(self.look, [files, answer, formats], shown, **of_network, **hidden)
            which.input(self.show, [answer, which], result, **hidden)
            formats.input(self.repack, [answer, formats], packed, **hidden)
        return blocks.queue(api_open=False, max_size=32)

    def look(
        self,
        files: Sequence[str] | None,
        before: Answer | None,
        formats: Sequence[str],
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio knows it by this
    ) -> list[Any]:
        """Segment what was dropped; what was found before is forgotten unless it fails."""
        if not files:
            _forget(before)
            return self._cleared("")
        if len(files) > MOST_FILES:
            words = f"{len(files)} files are more than {MOST_FILES}: ae-pretrained predict takes any number"
            raise gr.Error(words, print_exception=False)
        folder = Path(mkdtemp(dir=self.folder))

        def tell(done: int, of: int) -> None:
            progress((done, of), desc="segmenting", unit="pictures")

        try:
            answer = self.networks.look([Path(file) for file in files], folder, tell)
        except (UserError, RunError, MemoryError) as error:
            rmtree(folder, ignore_errors=True)
            words = "out of memory: give smaller pictures" if isinstance(error, MemoryError) else one_line(error)
            raise gr.Error(escape(words), print_exception=False) from None
        _forget(before)
        if not answer.names:
            _forget(answer)
            return self._cleared(unread(answer))
        names = [(visible(name), place) for place, name in enumerate(answer.names)]
        return [
            answer,
            gr.Dropdown(names, value=0, visible=len(names) > 1),
            _said(unread(answer)),
            of_picture(answer, 0),
            gr.CheckboxGroup(visible=True),
            self.repack(answer, formats),
        ]

    def show(self, answer: Answer | None, place: int) -> str:
        """Return the results of another picture."""
        return of_picture(answer, place) if answer else ""

    def repack(self, answer: Answer | None, formats: Sequence[str]) -> Any:
        """Return the button with a ZIP of these formats; without one where none is chosen."""
        if answer is None or not formats:
            return gr.DownloadButton(value=None, visible=answer is not None, interactive=False)
        path = pack(answer, formats, Path(mkdtemp(dir=answer.folder)) / "segmentation.zip")
        return gr.DownloadButton(value=str(path), visible=True, interactive=True)

    @staticmethod
    def _cleared(said: str) -> list[Any]:
        hidden = [gr.CheckboxGroup(visible=False), gr.DownloadButton(value=None, visible=False)]
        return [None, gr.Dropdown([], visible=False), _said(said), "", *hidden]


def mount(application: Any, networks: Networks, folder: Path) -> Any:
    """Mount the page into an application of FastAPI, and return that."""
    return gr.mount_gradio_app(
        application,
        Page(networks, folder).blocks(),
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=MOST_BYTES,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=THEME,
        css=read_text(CSS),
    )


def _said(words: str) -> Any:
    return gr.HTML(words, visible=bool(words))


def _forget(answer: Answer | None) -> None:
    """Delete the files of results that nobody looks at any more."""
    if answer is not None:
        rmtree(answer.folder, ignore_errors=True)
