"""The rule of the house: imports run one way."""

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "core": {"core"},
    "data": {"data", "core"},
    "reconstruction": {"reconstruction", "data", "core"},
    "transfer_learning": {"transfer_learning", "data", "core"},
    "benchmarks": {"benchmarks", "transfer_learning", "reconstruction", "data", "core"},
    "experiments": {"experiments", "transfer_learning", "reconstruction", "data", "core"},
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
    return names & set(MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_nobody_imports_upwards(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert imported(path) <= MAY_IMPORT[package], path


def test_neither_data_nor_large_files_are_part_of_the_project():
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a clone")
    said = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    tracked = [ROOT / name for name in said.split("\0") if name and (ROOT / name).exists()]
    assert tracked
    assert all(path.suffix == ".py" for path in tracked if ROOT / "data" in path.parents)
    assert max(path.stat().st_size for path in tracked) < 2**20
