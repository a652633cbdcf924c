"""The documentation as a site: every page in it, every link of it alive, nothing from outside."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from core.errors import UserError
from core.site_pages import ROOT, lay_pages, links, main, reached

SETTINGS = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
PAGES = [path for path in reached(ROOT) if path.suffix == ".md"]
# What a page brings along by itself, as opposed to where it may lead.
BRINGS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


def in_nav(entry: object) -> Iterator[str]:
    """Yield the pages of a part of the menu, in order."""
    if isinstance(entry, str):
        yield entry
    for inner in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
        yield from in_nav(inner)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_menu_holds_every_page_in_the_order_of_the_index():
    menu = list(in_nav(SETTINGS["nav"]))
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    rows = [f"docs/{link}".replace("docs/../", "") for link in re.findall(r"^\| \[.+?\]\((.+?)\)", index, re.MULTILINE)]
    # A notebook is no page: the site hands it out as a file.
    assert [page for page in menu if page != "docs/README.md"] == [row for row in rows if row.endswith(".md")]
    assert {page for page in menu if page.startswith("docs/")} == {
        f"docs/{path.name}" for path in ROOT.glob("docs/*.md")
    }
    headings = re.findall(r"^## (.+)$", index, re.MULTILINE)
    assert [title for part in SETTINGS["nav"] for title in part] == headings


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_anchors_are_headings(page):
    for link in links((ROOT / page).read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        if anchor:
            target = (ROOT / page).parent / path if path else ROOT / page
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_pages_bring_along_what_they_link_to(tmp_path):
    root, pages = tmp_path / "root", tmp_path / "pages"
    for name, text in {
        "README.md": "[a](docs/a.md#b) [outside](https://example.org) [here](#there)",
        "docs/a.md": "![figure](../figures/a.png) `[code](nothing.md)`\n```\n[block](nothing.md)\n```\n",
        "docs/lone.md": "[on](../results/tables.md)",
        "results/tables.md": "[further](rows.csv)",
        "results/rows.csv": "[no](page.md)",
        "results/other.md": "",
        "figures/a.png": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (pages / "old.md").parent.mkdir()
    (pages / "old.md").write_text("of an earlier call")
    expected = ["README.md", "docs/a.md", "docs/lone.md", "figures/a.png", "results/rows.csv", "results/tables.md"]
    assert [str(path) for path in lay_pages(root, pages)] == expected
    assert sorted(str(path.relative_to(pages)) for path in pages.rglob("*.*")) == expected


@pytest.mark.parametrize("link", ["nothing.md", "docs", "../outside.md"])
def test_a_link_that_a_site_could_not_follow_is_refused(tmp_path, link):
    (tmp_path / "outside.md").touch()
    (tmp_path / "root" / "docs").mkdir(parents=True)
    (tmp_path / "root" / "README.md").write_text(f"[there]({link}#part)")
    with pytest.raises(UserError, match=re.escape(f"README.md links to {link}#part")):
        lay_pages(tmp_path / "root", tmp_path / "pages")


def test_a_page_that_is_wrong_is_told_in_a_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "README.md").write_text("[there](nothing.md)")
    monkeypatch.setattr("core.site_pages.ROOT", tmp_path)
    monkeypatch.setattr("core.site_pages.PAGES", tmp_path / "pages")
    assert main() == 2
    assert capsys.readouterr() == ("", "error: README.md links to nothing.md: link to a file of the repository\n")
    assert not (tmp_path / "pages").exists()


class Page(HTMLParser):
    """What a page of the site has: its anchors, where it leads, and what it brings along."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.brought: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if given.get(BRINGS.get(tag, "")):
            self.brought.append(given[BRINGS[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Build the site, of which a warning is a failure."""
    if find_spec("zensical") is None:
        pytest.skip("zensical is not installed: pip install -e '.[docs]' -c constraints.txt")
    folder = tmp_path_factory.mktemp("site")
    (folder / "mkdocs.yml").write_bytes((ROOT / "mkdocs.yml").read_bytes())
    lay_pages(ROOT, folder / SETTINGS["docs_dir"])
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "No issues found" in said, said
    return folder / SETTINGS["site_dir"]


@pytest.mark.all
def test_every_link_of_the_site_leads_somewhere(site):
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert {path.relative_to(site) for path in pages} == {
        path.with_name("index.html") if path.name == "README.md" else path.with_suffix(".html") for path in PAGES
    }
    dead = []
    for path, page in pages.items():
        for link in page.links + page.brought:
            url = urlsplit(link)
            if url.scheme:
                continue
            target = path.parent / unquote(url.path) if url.path else path
            target = (target / "index.html" if target.is_dir() else target).resolve()
            known = pages[target].anchors if target in pages else set()
            if not target.is_file() or (url.fragment and unquote(url.fragment) not in known):
                dead.append(f"{path.relative_to(site)}: {link}")
    assert dead == []


@pytest.mark.all
def test_the_site_brings_nothing_from_outside(site):
    for path in site.rglob("*.html"):
        assert [link for link in Page(path).brought if urlsplit(link).netloc] == [], path
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)\"']+", styles) == []


@pytest.mark.all
def test_nothing_is_left_of_how_it_is_written(site):
    """Markdown is read otherwise by GitHub: lists behind a line of text, say, and strokes in the code of a table."""
    for path in site.rglob("*.html"):
        text = re.sub(r"<pre.*?</pre>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        paragraphs = re.findall(r"<p>(.*?)</p>", text, re.DOTALL)
        assert [p for p in paragraphs if re.search(r"^\s*(?:[-*|] |\d+\. |```)", p, re.MULTILINE)] == [], path
        assert [code for code in re.findall(r"<code>(.*?)</code>", text) if "\\|" in code] == [], path
