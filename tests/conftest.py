"""A small prepared data set that all end-to-end tests share."""

import os
import signal
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import settings

# Before anything loads numpy: threads of its linear algebra spin for each other where tests run side by side.
os.environ["OMP_NUM_THREADS"] = "1"
# How long an example takes says nothing on machines that others use too.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `--dist loadfile` a page of the documents, which is a minute of commands, counts as a file."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrPage(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return nodeid if "test_what_a_page_says_to_do" in nodeid else super()._split_scope(nodeid)

    return ByFileOrPage(config, log)


@pytest.fixture(autouse=True, scope="session")
def cache_of_all(tmp_path_factory):
    """What commands keep for the user's later calls is not kept for the one who runs the tests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory, request):
    """A test finds nothing that others kept; nothing is made before something is written."""
    name = sha256(request.node.nodeid.encode()).hexdigest()[:16]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / f"cache-{name}"))


@pytest.fixture(autouse=True, scope="session")
def ctrl_c():
    """Processes that were started in the background of a script ignore Ctrl-C, and so would those that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def pets(tmp_path_factory) -> Path:
    """Forty drawn pictures at 40 px, half of them with a mask."""
    from data.prepare import main as prepare

    folder = tmp_path_factory.mktemp("data") / "processed"
    flags = "--dataset synthetic --num_images 40 --labelled_fraction 0.5 --size 40"
    assert prepare([*flags.split(), "--output_dir", str(folder)]) == 0
    return folder


@pytest.fixture
def here(monkeypatch):
    """Run the processes of a grid here; returns the list of what began."""
    from ablation_grid import Here

    from experiments.grid import queue
    from experiments.grid.runners import local

    monkeypatch.setattr(local, "Worker", Here)
    monkeypatch.setattr(queue, "LOOK_SECONDS", 0.0)
    Here.begun = []
    return Here.begun


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tests run side by side; threads of one would wait for those of another.

    Before any fixture that trains: with another number of threads sums have other bits.
    """
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=[1, 3], ids=["grey", "coloured"])
def rectangles(request, tmp_path_factory) -> Path:
    """Thirty pictures on a canvas of 40 x 56, grey and coloured in turn, with the tags camera and keeper."""
    from sample_rectangles import prepare_rectangles

    return prepare_rectangles(tmp_path_factory.mktemp("rectangles") / "processed", request.param)
