"""The report in a real browser: Debian's Chromium without a screen, driven by selenium."""

import json
import shutil
from pathlib import Path

import pytest
from report_samples import HOSTILE, segmentation_settings, write_picture, write_reconstruction, write_run, write_strip
from report_samples import write_segmentation as write

from core.classes import ClassSet
from experiments.report import main as report

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium or no chromedriver: apt-get install chromium chromium-driver"
)
LONG = "a_breed_with_a_name_that_is_far_too_long_for_any_phone_" * 3


def breeds(*scores: float | None) -> dict:
    names = ("beagle", HOSTILE, LONG, "Bengal", "Abyssinian")
    return {
        name: {
            "num_images": 3 + place,
            "mean_iou_true_classes": score,
            "iou": {"background": 0.5, "cat": None, "dog": score},
        }
        for place, (name, score) in enumerate(zip(names, scores, strict=True))
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """A report of four runs: two arms of phase 2, one not evaluated, an autoencoder; with hostile names."""
    root = tmp_path_factory.mktemp("report")
    figures = [
        {"file": "figures/wide.png", "title": "Wide", "caption": HOSTILE},
        {"file": "figures/<tall>.png", "title": HOSTILE, "caption": "http://example.org is only text"},
        {"file": "figures/gone.png", "title": "Gone", "caption": "is not there"},
    ]
    for arm, (seed, scores) in {"scratch": (1, (0.7, 0.95, 0.05, 0.5, None)), "<b>bold": (2, (0.1,) * 5)}.items():
        settings = segmentation_settings(seed=seed)
        write_run(root / arm, settings)
        more = {"tags": {"breed": breeds(*scores)}, "figures": figures, "intervals": {"mean_iou": [0.1, 0.9]}}
        write(root / arm / "results", seed, settings, **more)
        write_picture(root / arm / "results/figures/wide.png", (900, 300))
        write_picture(root / arm / "results/figures/<tall>.png", (300, 900))
    write_run(root / "waiting", segmentation_settings(lr=0.5))
    write_reconstruction(root / "autoencoder", [20.0, 30.0])
    assert report([*(str(root / name) for name in ("scratch", "<b>bold", "waiting", "autoencoder"))]) == 0
    return root / "scratch/report.html"


@pytest.fixture(scope="module")
def driver():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture(params=[375, 1280])
def opened(request, driver, page):
    """The page, loaded afresh at phone and at desktop width."""
    metrics = {"width": request.param, "height": 800, "deviceScaleFactor": 1, "mobile": request.param < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get(page.as_uri())
    yield driver
    severe = [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not severe, severe


def overflow(driver) -> int:
    return driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")


def elements(driver, selector: str) -> list:
    return driver.find_elements("css selector", selector)


def test_pictures_are_there_and_nothing_leaves_the_file(opened, page):
    assert opened.title == "Segmentation: 2 runs compared on 30 images of Test"
    widths = opened.execute_script(
        "return [...document.querySelectorAll('figure img')].map((image) => image.naturalWidth)"
    )
    # Two pictures and a curve for each arm, the waiting run's curve, the overlay.
    assert len(widths) == 8
    assert min(widths) > 0
    requested = [
        message["params"]["request"]["url"]
        for entry in opened.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"
    ]
    assert page.as_uri() in requested
    assert all(url == page.as_uri() or url.startswith("data:") for url in requested)


def test_the_page_never_scrolls_sideways(opened):
    for details in elements(opened, "details"):
        summary = details.find_element("css selector", "summary")
        was_open = details.get_attribute("open") is not None
        opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", summary)
        if not was_open:
            summary.click()
        assert details.get_attribute("open") is not None
    assert len(elements(opened, "details")) >= 6
    assert overflow(opened) == 0


def test_light_and_dark(opened):
    def ground() -> str:
        return opened.execute_script("return getComputedStyle(document.body).backgroundColor")

    button = opened.find_element("id", "theme")
    before, words = ground(), button.text
    button.click()
    assert ground() != before
    assert button.text != words
    button.click()
    assert (ground(), button.text) == (before, words)


def test_the_system_decides_until_someone_clicks(opened):
    def is_dark() -> bool:
        return "23, 25, 27" in opened.execute_script("return getComputedStyle(document.body).backgroundColor")

    def prefer(value: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": value}]
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    for value in ("dark", "light"):
        prefer(value)
        assert is_dark() == (value == "dark")
    opened.find_element("id", "theme").click()
    assert is_dark()
    prefer("light")
    assert is_dark()


def test_every_figure_opens_and_closes(opened):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    large = opened.find_element("id", "large")
    buttons = elements(opened, "figure .open")
    ways = [
        lambda: ActionChains(opened).send_keys(Keys.ESCAPE).perform(),
        lambda: opened.find_element("id", "large-close").click(),
        lambda: opened.find_element("id", "large-frame").click(),
    ]
    for place, button in enumerate(buttons):
        opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        if place % 2:
            button.click()
        else:
            button.send_keys(Keys.ENTER)
        assert large.is_displayed()
        image = opened.find_element("id", "large-image")
        assert image.get_attribute("src") == button.find_element("css selector", "img").get_attribute("src")
        assert opened.execute_script("return arguments[0].naturalWidth", image) > 0
        assert overflow(opened) == 0
        ways[place % 3]()
        assert not large.is_displayed()
        assert opened.switch_to.active_element == button


def test_the_same_figure_of_another_run(opened):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    first = elements(opened, "figure .open[data-owner='scratch']")[0]
    other = elements(opened, "figure .open[data-owner='<b>bold']")[0]
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", first)
    first.click()
    choices = elements(opened, "#large-runs button")
    assert [choice.text for choice in choices] == ["scratch", "<b>bold"]
    choices[1].click()
    pressed = [choice.get_attribute("aria-pressed") for choice in elements(opened, "#large-runs button")]
    assert pressed == ["false", "true"]
    ActionChains(opened).send_keys(Keys.ARROW_RIGHT).perform()
    assert HOSTILE in opened.find_element("id", "large-caption").text
    opened.find_element("id", "large-close").click()
    following = elements(opened, "figure .open")
    assert opened.switch_to.active_element == following[following.index(other) + 1]


def test_a_click_sorts(opened):
    table = next(
        table
        for table in elements(opened, "#run-1 table.sortable")
        if "breed" in table.find_element("css selector", "thead").get_attribute("textContent")
    )

    def column(place: int) -> list[str]:
        return opened.execute_script(
            "return [...arguments[0].tBodies[0].rows].map((row) => row.cells[arguments[1]].textContent)", table, place
        )

    heads = table.find_elements("css selector", "thead button")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", table)
    heads[2].click()
    assert column(2) == ["0.950", "0.700", "0.500", "0.050", "–"]
    heads[2].click()
    assert column(2) == ["0.050", "0.500", "0.700", "0.950", "–"]
    heads[0].click()
    assert [name for name in column(0) if name[0] in "AaBb"] == [LONG, "Abyssinian", "beagle", "Bengal"]
    sorted_by = table.find_elements("css selector", "th[aria-sort]")
    assert [head.get_attribute("aria-sort") for head in sorted_by] == ["ascending"]


def test_hostile_names_are_text(opened):
    assert HOSTILE in [cell.get_attribute("textContent") for cell in elements(opened, "#run-1 tbody th")]
    assert not elements(opened, "img[src='x'], main b b, h3 b")


@pytest.fixture(scope="module")
def many_classes(tmp_path_factory) -> Path:
    """A report of 150 classes, some with hostile names, without a background."""
    root = tmp_path_factory.mktemp("classes")
    names = (HOSTILE, "mean_iou", "=1+1", "a,b", *(f"class {number}" for number in range(146)))
    classes = ClassSet(names, background=None)
    for name, seed in (("one", 1), ("two", 2)):
        write(root / name, seed, classes=classes)
    assert report([str(root / "one"), str(root / "two")]) == 0
    return root / "one/report.html"


def test_many_classes_are_folded_sorted_and_coloured(driver, many_classes):
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    driver.get(many_classes.as_uri())
    table = elements(driver, "#run-1 details table.sortable")[0]
    assert not table.is_displayed()
    driver.execute_script("arguments[0].closest('details').open = true", table)
    assert overflow(driver) == 0
    heads = table.find_elements("css selector", "thead button")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", table)
    place = [head.text for head in heads].index("IoU")
    heads[place].click()
    shown = driver.execute_script(
        "return [...arguments[0].tBodies[0].rows].map((row) => Number(row.cells[arguments[1]].dataset.sort))",
        table,
        place,
    )
    assert shown == sorted(shown, reverse=True)
    assert len(shown) == 150
    colours = driver.execute_script(
        "return [...arguments[0].querySelectorAll('svg rect')].map((rect) => getComputedStyle(rect).fill)", table
    )
    assert len(set(colours)) == 150
    assert HOSTILE in [cell.get_attribute("textContent") for cell in table.find_elements("css selector", "th")]
    severe = [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not severe, severe


def test_every_link_of_the_contents_leads_somewhere(opened):
    links = elements(opened, "nav a")
    assert len(links) == 7
    for link in links:
        assert elements(opened, link.get_dom_attribute("href"))


@pytest.fixture(scope="module")
def with_strips(tmp_path_factory) -> Path:
    """A report of five runs with long names, whose results hold a strip."""
    root = tmp_path_factory.mktemp("strips")
    for number in range(5):
        folder = root / f"{LONG[:50]}{number}"
        write(folder, number, strip=write_strip(folder))
    assert report([str(path) for path in sorted(root.iterdir())]) == 0
    return sorted(root.iterdir())[0] / "report.html"


def test_strip_verdict_and_main_table_fit_a_window_of_1400_px(driver, with_strips):
    metrics = {"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get(with_strips.as_uri())
    for selector in ("table.strip", "table.main"):
        (table,) = elements(driver, selector)
        frame = driver.execute_script(
            "const e = arguments[0].closest('.scroll'); return [e.scrollWidth, e.clientWidth]", table
        )
        assert frame[0] <= frame[1], selector
    assert overflow(driver) == 0
    order = [".opening", "table.strip", ".verdicts", "table.main"]
    tops = [elements(driver, selector)[0].rect["y"] for selector in order]
    assert tops == sorted(tops)
    seen = driver.execute_script("return [...document.querySelectorAll('.strip img')].map((i) => i.naturalWidth)")
    assert len(seen) == 2 * (2 + 4)  # two pictures; picture, truth and four of the five runs
    assert set(seen) == {8}
