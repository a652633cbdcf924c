"""The page of `ae-pretrained app` in real browsers: Debian's Chromium without a screen, driven by selenium."""

import io
import json
import os
import re
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from zipfile import ZipFile

import numpy as np
import pytest
import ready_processes
from page_here import is_here
from PIL import Image
from sample_pets import picture
from sample_weights import write_weights

from data.pictures import read_mask
from transfer_learning.inference.segmenter import Segmenter

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.all,
    pytest.mark.skipif(find_spec("gradio") is None, reason="no gradio: pip install -e '.[app]' -c constraints.txt"),
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="no chromium or no chromedriver: apt-get install chromium chromium-driver"
    ),
]
PATIENCE_SECONDS = 60


def until(what: Callable[[], object], of: str) -> object:
    """Wait for what is true, and return it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {PATIENCE_SECONDS} s for {of}")


class Served:
    """A page that is served."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.temporary, self.asked, self.console = folder / "tmp", folder / "asked.txt", folder / "console.txt"
        self.temporary.mkdir()
        arguments = [str(self.asked), str(self.temporary), "--port", "0", "--device", "cpu", *flags]
        self.process = ready_processes.start("page_here", arguments, self.console)
        said = until(lambda: re.search(r"the page is at (http://127\.0\.0\.1:\d+) ", self._said()), "the page")
        self.address = said[1]

    def _said(self) -> str:
        return self.console.read_text() if self.console.exists() else ""

    def stop(self, number: int = signal.SIGINT) -> str:
        """Stop it; returns what it said last."""
        os.kill(self.process.pid, number)
        self.process.join(PATIENCE_SECONDS)
        return self._said()


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return write_weights(tmp_path_factory.mktemp("one") / "best_model.safetensors", 3)


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Path:
    return write_weights(tmp_path_factory.mktemp("two") / "best_model.safetensors", 4)


@pytest.fixture(scope="module")
def served(tmp_path_factory, weights) -> Iterator[Served]:
    page = Served(tmp_path_factory.mktemp("served"), "--model_path", str(weights))
    yield page
    page.stop()


@pytest.fixture(scope="module")
def new_browser() -> Iterator[Callable]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    opened = []

    def make():
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        opened.append(webdriver.Chrome(options=options, service=Service(DRIVER)))
        return opened[-1]

    yield make
    for browser in opened:
        browser.quit()


@pytest.fixture(scope="module")
def browser(new_browser):
    return new_browser()


def visit(browser, page: Served, width: int = 1280) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.address)
    until(lambda: elements(browser, "#files input[type=file]"), "the place for files")


def elements(browser, selector: str) -> list:
    return browser.find_elements("css selector", selector)


def text_of(browser, selector: str) -> str:
    """Return the text at a selector; a page that is being drawn anew has none."""
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText).join('\\n')"
    return browser.execute_script(script, selector)


def drop(browser, *paths: Path) -> None:
    (place,) = elements(browser, "#files input[type=file]")
    place.send_keys("\n".join(map(str, paths)))


def wait_for(browser, name: str) -> None:
    until(lambda: name in text_of(browser, "#result h2"), f"the results of {name}")
    until(lambda: elements(browser, "#packed"), "the button")


def fetched(browser, folder: Path) -> dict[str, bytes]:
    """Click the button and return what the ZIP holds."""
    folder.mkdir(exist_ok=True)
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    before = set(folder.glob("*.zip"))
    (button,) = elements(browser, "#packed")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", button)
    (path,) = until(lambda: set(folder.glob("*.zip")) - before, "the download")
    with ZipFile(io.BytesIO(path.read_bytes())) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def save(folder: Path, name: str, seed: int, height: int = 60, width: int = 80) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(picture(seed, height, width)).save(path)
    return path


def require_mask(content: bytes, photo: Path, weights: Path, folder: Path) -> None:
    """See that a mask is the one that `Segmenter` gives."""
    (folder / "found.png").write_bytes(content)
    np.testing.assert_array_equal(read_mask(folder / "found.png"), Segmenter.load(weights, device="cpu")(photo)[0])


@pytest.mark.parametrize("width", [400, 1280])
def test_a_picture_its_results_and_nobody_else_asked(width, browser, served, weights, tmp_path):
    visit(browser, served, width)
    photo = save(tmp_path, "tom.png", 1)
    drop(browser, photo)
    wait_for(browser, "tom.png")
    script = "return [...document.querySelectorAll('#result img')].map((image) => image.naturalWidth)"
    widths = until(lambda: browser.execute_script(script), "pictures")
    assert len(widths) >= 3
    assert set(widths) == {80}
    assert all(name in text_of(browser, "#result table") for name in ("background", "cat", "dog"))
    scrolled = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(scrolled) == 0
    for table in elements(browser, "#result table"):
        fits = "return arguments[0].offsetWidth <= arguments[0].parentElement.clientWidth"
        assert browser.execute_script(fits, table), "a table is wider than its place"
    packed = fetched(browser, tmp_path / "downloads")
    assert sorted(packed) == ["masks/tom.png", "overlays/tom.png", "predictions.csv", "predictions.json"]
    require_mask(packed["masks/tom.png"], photo, weights, tmp_path)
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    asked += [m["params"]["url"] for m in messages if m["method"] == "Network.webSocketCreated"]
    assert any(url.startswith(served.address) for url in asked)
    wrong = [url for url in asked if not url.startswith(("data:", "blob:")) and not is_here(urlsplit(url).hostname)]
    assert not wrong
    assert not served.asked.exists(), served.asked.read_text()
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_a_page_may_ask_nobody_else(browser, served):
    """The browser itself refuses: were the policy gone, a script or a font from outside would be asked for."""
    visit(browser, served)
    script = """
        const done = arguments[0];
        document.addEventListener('securitypolicyviolation', (event) => done(event.blockedURI));
        document.body.appendChild(new Image()).src = 'http://192.0.2.1/picture.png';
    """
    assert browser.execute_async_script(script) == "http://192.0.2.1/picture.png"
    browser.get_log("browser")


def test_a_wrong_file_is_named_and_the_rest_goes_on(browser, served, tmp_path):
    visit(browser, served)
    (tmp_path / "notes.png").write_text("this is text")
    bomb = tmp_path / "bomb.png"
    Image.new("1", (10_000, 8_001)).save(bomb)
    drop(browser, tmp_path / "notes.png")
    until(lambda: text_of(browser, "#unread"), "the reason")
    assert text_of(browser, "#unread").strip() == "not read: notes.png: not a picture, or its header is damaged"
    assert not elements(browser, "#result h2")
    visit(browser, served)
    drop(browser, bomb, save(tmp_path, "tom.png", 1))
    wait_for(browser, "tom.png")
    assert text_of(browser, "#unread").strip() == "not read: bomb.png: 10000 x 8001 is more than 80000000 pixels"


def test_a_file_that_is_too_large_is_never_taken(browser, served, tmp_path):
    visit(browser, served)
    huge = tmp_path / "huge.png"
    huge.write_bytes(b"\x89PNG" * 6_250_001)
    drop(browser, huge)
    until(lambda: "exceed the maximum allowed size" in text_of(browser, "body"), "the refusal")
    assert '"huge.png"' in text_of(browser, "body")
    assert not elements(browser, "#result h2")
    # And by who asks without a browser's manners.
    before = [path for path in served.temporary.rglob("*") if path.is_file() and path.stat().st_size > 10**6]
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="huge.png"\r\n\r\n'
    body = head + huge.read_bytes() + b"\r\n--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    request = urllib.request.Request(f"{served.address}/gradio_api/upload", body, kind)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 413
    after = [path for path in served.temporary.rglob("*") if path.is_file() and path.stat().st_size > 10**6]
    assert after == before


def test_two_users_at_once_each_get_their_own(browser, new_browser, served, weights, tmp_path):
    users = {"a": browser, "b": new_browser()}
    photos = {}
    for number, (user, at) in enumerate(users.items()):
        photos[user] = [save(tmp_path / user, f"{user}{n}.png", 10 * number + n, 50 + 10 * number) for n in range(5)]
        visit(at, served)
    for user, at in users.items():
        drop(at, *photos[user])
    for user, at in users.items():
        wait_for(at, f"{user}0.png")
    for user, at in users.items():
        packed = fetched(at, tmp_path / f"downloads_{user}")
        assert {name for name in packed if "masks/" in name} == {f"masks/{photo.name}" for photo in photos[user]}
        for photo in photos[user]:
            require_mask(packed[f"masks/{photo.name}"], photo, weights, tmp_path)


def test_several_files_are_looked_through_and_packed_as_chosen(browser, served, tmp_path):
    visit(browser, served)
    drop(browser, save(tmp_path, "tom.png", 1), save(tmp_path, "anna.png", 2))
    until(lambda: elements(browser, "#which input"), "the choice of pictures")
    until(lambda: text_of(browser, "#result h2"), "results")
    first = text_of(browser, "#result h2")
    (other,) = {"tom.png", "anna.png"} - {first}
    (field,) = elements(browser, "#which input")
    field.click()
    until(lambda: elements(browser, "[role=option]"), "names")
    next(option for option in elements(browser, "[role=option]") if option.text.strip().endswith(other)).click()
    wait_for(browser, other)
    overlays = elements(browser, "#formats input")[1]
    browser.execute_script("arguments[0].click()", overlays)
    time.sleep(2)
    packed = fetched(browser, tmp_path / "downloads")
    assert sorted(packed) == ["masks/anna.png", "masks/tom.png", "predictions.csv", "predictions.json"]


def test_two_networks_and_the_end(browser, weights, others, tmp_path):
    page = Served(tmp_path, "--model_path", str(weights), "--compare_with", str(others))
    visit(browser, page)
    drop(browser, save(tmp_path, "tom.png", 1))
    wait_for(browser, "tom.png")
    assert len(elements(browser, "#result section.network")) == 2
    assert re.search(r"agree on [\d.]+% of the pixels", text_of(browser, "#result"))
    left, right = (one.rect for one in elements(browser, "#result section.network"))
    assert left["y"] == right["y"]
    assert any(page.temporary.iterdir())
    said = page.stop()
    assert said.splitlines()[1:] == ["stopped: the page is closed; the same command opens it again"]
    assert page.process.exitcode == 130
    assert not [path for path in page.temporary.iterdir() if path.name.startswith("ae-pretrained")]
