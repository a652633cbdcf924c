"""The packages and megabytes that docs/install.md names of each extra, counted from uv.lock."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
PACKAGES = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
PAGE = (ROOT / "docs/install.md").read_text(encoding="utf-8")
MACHINE = {
    **{"python_version": "3.11", "python_full_version": "3.11.9", "implementation_name": "cpython"},
    **{"platform_python_implementation": "CPython", "sys_platform": "linux", "platform_system": "Linux"},
    **{"platform_machine": "x86_64", "os_name": "posix"},
}
PLATFORMS = [*(f"manylinux_2_{glibc}_x86_64" for glibc in range(36, 4, -1)), "manylinux2014_x86_64", "linux_x86_64"]
TAGS = [*cpython_tags((3, 11), platforms=PLATFORMS), *compatible_tags((3, 11), "cp311", PLATFORMS)]
ORDER = {tag: place for place, tag in reversed([*enumerate(TAGS)])}  # the first place of a tag
CUDA = re.compile("(torch|triton|nvidia-.*|cuda-.*)$")


def of_extra(extra: str | None) -> dict[str, int]:
    """Return the packages of an extra, of the project itself for None, with the bytes that pip fetches of each."""
    (own,) = [package for package in PACKAGES if package["name"] == "ae-pretrained"]
    asked = [*(own["optional-dependencies"][extra] if extra else own["dependencies"])]
    found: dict[str, int] = {}
    done: list[dict] = []
    while asked:
        row = asked.pop()
        if row in done or not Marker(row.get("marker", "python_version > '0'")).evaluate(MACHINE):
            continue
        done.append(row)
        (package,) = [package for package in PACKAGES if package["name"] == row["name"] and fits(package, row)]
        found[package["name"]] = download(package)
        asked += package.get("dependencies", [])
        asked += [more for name in row.get("extra", []) for more in package["optional-dependencies"][name]]
    return found


def fits(package: dict, row: dict) -> bool:
    return row.get("version", package["version"]) == package["version"]


def download(package: dict) -> int:
    """Return the bytes of the wheel that fits the machine best; of the source where there is no wheel."""
    places = [
        (ORDER[tag], wheel["size"])
        for wheel in package.get("wheels", [])
        for tag in parse_wheel_filename(wheel["url"].rpartition("/")[2])[3]
        if tag in ORDER
    ]
    return min(places)[1] if places else package["sdist"]["size"]


def megabytes(sizes: Iterable[int]) -> int:
    return round(sum(sizes) / 1e6)


def test_every_extra_has_a_row():
    assert sorted(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == sorted(EXTRAS)


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_adds_what_its_row_says(extra):
    base = of_extra(None)
    added = {name: size for name, size in of_extra(extra).items() if name not in base}
    ((packages, size),) = re.findall(rf"^\| `{extra}` \|.*\| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert (int(packages), int(size)) == (len(added), megabytes(added.values()))


def test_the_project_by_itself_takes_what_the_first_row_says():
    base = of_extra(None)
    ((packages, *sizes),) = re.findall(
        r"^\| \(none\) .* (\d+) \| ([\d,]+), of which ([\d,]+) torch", PAGE, re.MULTILINE
    )
    assert int(packages) == len(base)
    counted = [megabytes(base.values()), megabytes(size for name, size in base.items() if CUDA.match(name))]
    assert [int(size.replace(",", "")) for size in sizes] == [round(size, -1) for size in counted]
