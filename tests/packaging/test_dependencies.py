"""The versions of other packages: lowest ones above known holes, and pins that agree with them."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ("3.11", "3.12", "3.13")
# Each machine has a build of its own.
FREE = {"torch", "torchvision"}


def declared() -> list[Requirement]:
    """All that pyproject.toml asks for, extras included."""
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(row) for rows in (PROJECT["dependencies"], *extras) for row in rows]


def bounds() -> dict[str, Requirement]:
    """What pyproject.toml asks for, by package; of a package in several lists, the highest lowest version."""
    found: dict[str, Requirement] = {}
    for row in sorted(declared(), key=lowest):
        found[canonicalize_name(row.name)] = row
    return found


def lowest(requirement: Requirement) -> Version:
    """The version after `>=`."""
    (version,) = [bound.version for bound in requirement.specifier if bound.operator == ">="]
    return Version(version)


def pins(python: str) -> dict[str, str]:
    """What constraints.txt says for a Python on Linux."""
    rows = [row for row in (ROOT / "constraints.txt").read_text().splitlines() if not row.startswith("#")]
    machine = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    found: dict[str, str] = {}
    for row in map(Requirement, rows):
        if row.marker is None or row.marker.evaluate(machine):
            (pin,) = row.specifier
            assert pin.operator == "==", row
            assert canonicalize_name(row.name) not in found, f"{row} is pinned twice for Python {python}"
            found[canonicalize_name(row.name)] = pin.version
    return found


@pytest.mark.parametrize(
    ("package", "version"),
    [("opencv-python-headless", "4.12"), ("filelock", "3.20.3"), ("pillow", "12.1.1"), ("jinja2", "3.1.6")],
)
def test_lowest_versions_lie_above_known_holes(package, version):
    assert lowest(bounds()[package]) >= Version(version)


def test_requirements_are_those_of_the_project():
    rows = (ROOT / "requirements.txt").read_text().splitlines()
    assert rows[1:] == ["--constraint constraints.txt", *PROJECT["dependencies"]], "make docs"


def test_every_package_has_a_lowest_version():
    assert all(lowest(requirement) > Version("0") for requirement in bounds().values())


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_satisfy_every_bound(python):
    pinned = pins(python)
    for package, requirement in bounds().items():
        if package not in FREE:
            assert requirement.specifier.contains(pinned[package]), f"{requirement} against {pinned[package]}"


def test_the_lock_is_that_of_the_project_and_of_the_constraints():
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    (own,) = [package for package in packages if package["name"] == PROJECT["name"]]
    asked = {(row["name"], SpecifierSet(row["specifier"])) for row in own["metadata"]["requires-dist"]}
    assert asked == {(canonicalize_name(row.name), row.specifier) for row in declared()}, "make lock"
    locked = {(package["name"], package["version"]) for package in packages if package is not own}
    pinned = {pin for python in PYTHONS for pin in pins(python).items()}
    assert pinned <= locked, "make lock"
    assert {package["source"].get("registry") for package in packages if package is not own} == {
        "https://pypi.org/simple"
    }


def test_extras_are_installed_in_one_way_wherever_it_is_told():
    """In the tested versions, and editable: otherwise a copy takes the place of the clone."""
    told = {}
    for path in [ROOT / "Makefile", *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.*"), *ROOT.glob("[a-z]*/**/*.py")]:
        if path.is_file() and path.suffix in {"", ".md", ".ipynb", ".py"}:
            for words in re.findall(
                r"pip install (?:-e )?['\"]?(?:\.|ae.pretrained)\[.*", path.read_text(encoding="utf-8")
            ):
                right = re.match(r"pip install -e '\.\[[\w,{}]+\]' -c constraints\.txt", words)
                told[f"{path.relative_to(ROOT)}: {words}"] = right is not None
    assert len(told) > 20
    assert [place for place, right in told.items() if not right] == []


@pytest.mark.parametrize(("given", "constrained"), [([], True), (["CONSTRAINTS="], False)])
def test_setup_takes_the_tested_versions_unless_the_newest_are_asked_for(given, constrained):
    if not shutil.which("make"):
        pytest.skip("no make")
    words = ["make", "--dry-run", "--always-make", "setup", *given]
    said = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    (line,) = [line for line in said.splitlines() if "--editable" in line]
    assert line.rstrip().endswith("--editable '.[dev]'" + " --constraint constraints.txt" * constrained)


@pytest.mark.parametrize("python", PYTHONS)
def test_builds_that_differ_between_machines_are_left_free(python):
    names = pins(python)
    assert not [name for name in names if name in {*FREE, "triton"} or name.startswith(("nvidia-", "cuda-"))]
    assert not [version for version in names.values() if "+" in version]


def test_the_workflow_and_the_hooks_run_what_there_is():
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    newest = workflow["jobs"]["newest"]
    assert tuple(newest["strategy"]["matrix"]["python"]) == PYTHONS
    assert "make setup PYTHON=python CONSTRAINTS=" in [step.get("run") for step in newest["steps"]]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    runs = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert runs
    assert all(run.split()[0] == "make" and run.split()[1] in targets for run in runs)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    modules = [hook["entry"].split()[2] for hook in hooks]
    assert modules == ["ruff", "ruff", "mypy", "core.settings_page"]
