"""The wheel holds the whole program and nothing else, and its commands run outside the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "ae_pretrained",
    "benchmarks",
    "config",
    "core",
    "data",
    "experiments",
    "reconstruction",
    "transfer_learning",
)
# Below the packages, but no part of the program: what was measured, and what lies where users put their data.
MEASURED = "benchmarks/results/"
DECOYS = ("data/processed/manifest.json", "data/processed/Train/resized/a.png", "data/own.csv", "runs/a/state.ckpt")


def pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def files_of_the_project() -> list[str]:
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a clone")
    said = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in said.split("\0") if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """A copy of the project with data and runs in it, so that building leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("project")
    for name in files_of_the_project():
        if name.split("/")[0] in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for name in DECOYS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.fixture(scope="module")
def wheel(copied) -> Path:
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(copied / "dist"), str(copied))
    (path,) = (copied / "dist").glob("*.whl")
    return path


def test_the_wheel_holds_the_packages_and_what_they_read(copied, wheel):
    wanted = {
        str(path.relative_to(copied).as_posix())
        for package in PACKAGES
        for path in (copied / package).rglob("*")
        if path.is_file()
    }
    wanted = {name for name in wanted if name not in DECOYS and not name.startswith(MEASURED)}
    with ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == wanted
        (entry_points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "ae-pretrained = ae_pretrained.__main__:main" in archive.read(entry_points).decode()


@pytest.mark.all
def test_the_installed_program_prepares_and_trains_outside_the_checkout(wheel, tmp_path):
    site = tmp_path / "site"
    pip("install", "--no-deps", "--no-compile", "--quiet", "--target", str(site), str(wheel))
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    program = str(site / "bin" / "ae-pretrained")
    places = run(
        sys.executable, "-c", "import core, data, config; print(core.__file__, data.__file__, config.__file__)"
    )
    assert all(place.startswith(str(site)) for place in places.split())
    assert "ae-pretrained 0." in run(program, "--version")
    drawn = ["--dataset", "shapes", "--num_images", "20", "--labelled_fraction", "1", "--size", "40"]
    run(program, "prepare", *drawn, "--output_dir", "pets")
    small = ["--width", "2", "--batch_size", "4", "--max_steps", "1", "--val_every", "1", "--device", "cpu"]
    said = run(program, "train", *small, "--data_dir", "pets", "--output_dir", "run")
    assert "finished" in said
    assert (tmp_path / "run" / "best_model.safetensors").is_file()
