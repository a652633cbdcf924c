"""The pages of the site: README.md, docs/ and what they link to, laid as in the repository, so that every link holds.

python -m core.site_pages     # part of `make site`; mkdocs.yml builds a site of build/pages
"""

import re
import shutil
import sys
from pathlib import Path

from core.command import one_line
from core.errors import UserError
from core.files import read_text
from core.filing.paths import real

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build" / "pages"
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def lay_pages(root: Path, pages: Path) -> list[Path]:
    """Copy README.md, docs/ and what they reach by links, page after page, from `root` to an emptied folder.

    Returns:
        What was copied, relative to `root`, sorted.

    Raises:
        UserError: a link leads to nothing, to a folder, or out of `root`.
    """
    found = reached(root)
    shutil.rmtree(pages, ignore_errors=True)
    for path in found:
        copy = pages / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, copy)
    return found


def reached(root: Path) -> list[Path]:
    """Return README.md, what lies in docs/ and what they reach by links, relative to `root`. Raises as `lay_pages`."""
    root = real(root)
    left = [root / "README.md", *(root / "docs").glob("*.md"), *(root / "docs").glob("*.css")]
    found: set[Path] = set()
    while left:
        path = left.pop()
        if path in found:
            continue
        found.add(path)
        if path.suffix == ".md":
            left += [_file_of(link, path, root) for link in links(read_text(path)) if link.partition("#")[0]]
    return sorted(path.relative_to(root) for path in found)


def links(text: str) -> list[str]:
    """Return where the links and figures of a page lead, those within it and within the repository alone."""
    return [link for link in _LINK.findall(_CODE.sub("", text)) if not link.startswith(("https:", "http:"))]


def _file_of(link: str, page: Path, root: Path) -> Path:
    path = real(page.parent / link.partition("#")[0])
    if not path.is_file() or not path.is_relative_to(root):
        raise UserError(f"{page.relative_to(root)} links to {link}: link to a file of the repository")
    return path


def main() -> int:
    """Lay the pages of this clone; returns the exit code, 2 where one of them is wrong."""
    try:
        lay_pages(ROOT, PAGES)
    except (UserError, OSError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
