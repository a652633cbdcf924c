"""The rules of the house: imports run one way and in no circle, what must be quick loads no torch, wings stay small."""

import ast
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from core.cli import COMMANDS

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "core": {"core"},
    "data": {"data", "core"},
    "reconstruction": {"reconstruction", "data", "core"},
    "transfer_learning": {"transfer_learning", "data", "core"},
    "benchmarks": {"benchmarks", "experiments", "transfer_learning", "reconstruction", "data", "core"},
    "experiments": {"experiments", "transfer_learning", "reconstruction", "data", "core"},
    # Commands are named in core.cli, as text.
    "ae_pretrained": {"ae_pretrained", "transfer_learning", "core"},
}
TAKES_SECONDS = ("torch", "lightning_fabric", "lightning", "torchmetrics", "timm", "matplotlib")
FILES_OF_A_WING = 15


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


# By module; those below data/ that lie in no package are users' own.
FILES = {
    module_name(path): path
    for package in MAY_IMPORT
    for path in sorted((ROOT / package).rglob("*.py"))
    if (path.parent / "__init__.py").exists()
}


def imported(nodes: list[ast.stmt]) -> set[str]:
    """Return what import statements name, `from a import b` as both a and a.b."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            assert node.module, "relative imports hide where a name comes from"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


def when_loaded(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported, its classes' and branches' included."""
    for node in nodes:
        yield node
        for_types_alone = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if not for_types_alone and isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            yield from when_loaded([*node.body, *getattr(node, "orelse", [])])


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_nobody_imports_upwards(package):
    paths = [path for name, path in FILES.items() if name.split(".")[0] == package]
    assert paths
    for path in paths:
        names = imported(list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))))
        assert {name.split(".")[0] for name in names} & set(MAY_IMPORT) <= MAY_IMPORT[package], path


def test_no_modules_import_each_other_in_a_circle():
    graph = {}
    for name, path in FILES.items():
        statements = when_loaded(ast.parse(path.read_text(encoding="utf-8")).body)
        graph[name] = (imported(list(statements)) & set(FILES)) - {name}
    # A CycleError names the circle.
    assert set(TopologicalSorter(graph).static_order()) == set(FILES)


def test_packages_commands_and_settings_load_within_a_blink():
    commands = [command.module for command in COMMANDS if command.name]
    packages = [name for name, path in FILES.items() if path.name == "__init__.py"]
    settings = [name for name in FILES if name.endswith(("config", ".settings", ".cli", ".command"))]
    code = f"""
import importlib, sys
for name in {[*packages, *settings, *commands, "ae_pretrained.__main__"]!r}:
    importlib.import_module(name)
    if brought := {set(TAKES_SECONDS)!r} & set(sys.modules):
        sys.exit(f"{{name}} brings {{brought}}")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_wings_are_small_enough_to_look_over():
    for name, path in FILES.items():
        count = sum(other.parent == path.parent for other in FILES.values())
        if path.name == "__init__.py" and count > FILES_OF_A_WING:
            warnings.warn(f"{name} has {count} files side by side; a wing holds about {FILES_OF_A_WING}", stacklevel=1)


def test_neither_data_nor_large_files_are_part_of_the_project():
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a clone")
    said = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    tracked = [ROOT / name for name in said.split("\0") if name and (ROOT / name).exists()]
    assert tracked
    code = ROOT / "data" / "py.typed"
    assert all(path.suffix == ".py" or path == code for path in tracked if ROOT / "data" in path.parents)
    assert max(path.stat().st_size for path in tracked) < 2**20


# Beside the one place: what has looked itself, writes, reads bytes in memory, or files that only this project makes.
MAY_OPEN = {
    *("core.files", "core.headers.header", "core.run.state"),
    "core.terminal.screen",
    *("data.annotations.formats.labelme", "data.decoders.opening", "data.preparing.journal"),
    *("data.sources.fetching.archives", "data.sources.fetching.connection", "data.sources.fetching.download"),
    "experiments.grid.estimate",
    "experiments.grid.runners.parcels",
    *("experiments.page.pictures", "experiments.page.strip", "experiments.report"),
}


def test_files_are_opened_in_one_place():
    """`core.files` refuses what is no regular file: a pipe would be waited for for ever."""
    opening: dict[str, str] = {}
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr in ("open", "read_text", "read_bytes", "imread"):
                owner = ast.unparse(called.value)
                if owner != "files" and not owner.endswith("temporary"):
                    opening[module] = f"{path}, line {node.lineno}: {ast.unparse(called)}: open it through core.files"
    wrong = {name: what for name, what in opening.items() if name not in MAY_OPEN and not name.startswith("benchmarks")}
    assert not wrong
    assert not MAY_OPEN - opening.keys(), "these open nothing"


# Beside the one place: what this process wrote itself, and a list that is read piece by piece.
MAY_READ_JSON = {
    "core.filing.json_file",
    "data.prepared.streamed",
    "data.sources.own.listing",
}


def test_json_is_read_in_one_place():
    """`core.filing.json_file` knows all that Python's reader dies of; values that go to JSON and back are our own."""
    for module, path in FILES.items():
        if module in MAY_READ_JSON or module.startswith("benchmarks"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            there_and_back = called == "json.loads" and ast.unparse(node.args[0]).startswith("json.dumps(")
            what = f"{path}, line {getattr(node, 'lineno', 0)}: {called}: read it through core.filing.json_file"
            assert there_and_back or called not in ("json.load", "json.loads", "json.JSONDecoder"), what


def test_links_are_followed_in_one_place():
    """`Path.resolve` raises RuntimeError where a link leads to itself, before Python 3.13."""
    for module, path in FILES.items():
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        owners = {ast.unparse(node.value) for node in calls if node.attr == "resolve"}
        assert owners <= {"Path(__file__)"}, f"{module} follows links of {owners}: use core.filing.paths.real"
