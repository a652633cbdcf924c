"""`make reproduce`: the commands of the Makefile, with the dry config, on pictures in the official layout."""

import importlib
import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from sample_pets import make_pets

ROOT = Path(__file__).parents[2]
FULL, DRY = (ROOT / "config" / name for name in ("reproduce.yaml", "reproduce_dry.yaml"))
# A folder with images.tar.gz and annotations.tar.gz: the dry run is then tried on them too, which takes minutes.
REAL = os.environ.get("PETS_ARCHIVES")


def commands(*variables: str) -> list[tuple[str, list[str]]]:
    """Return module and arguments of what `make reproduce` would run, the environment aside."""
    if not shutil.which("make"):
        pytest.skip("make is missing")
    words = ["make", "--dry-run", "--old-file=setup", "reproduce", *variables]
    said = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    split = [shlex.split(line) for line in said.splitlines() if " -m " in line and " -m pip " not in line]
    return [(words[words.index("-m") + 1], words[words.index("-m") + 2 :]) for words in split if "venv" not in words]


@pytest.fixture(params=["made up", pytest.param("real", marks=pytest.mark.skipif(not REAL, reason="no PETS_ARCHIVES"))])
def archives(request, tmp_path):
    """A folder with the pictures and masks of the official layout."""
    return Path(REAL).resolve() if request.param == "real" else make_pets(tmp_path / "pets")


def test_the_dry_run_goes_from_archives_to_tables(archives, tmp_path, monkeypatch, here):
    run = commands(f"REPRODUCE={DRY}", f"ARCHIVES={archives}")
    assert [module for module, _ in run] == ["data.prepare", "experiments.ablate", "experiments.tables"]
    monkeypatch.chdir(tmp_path)  # where the config's relative folders then lie
    for module, arguments in run:
        assert importlib.import_module(module).main(arguments) == 0, module
    (entry,) = json.loads((tmp_path / "runs/reproduce_dry/results/summary.json").read_text())
    assert entry["fraction"] == 1
    assert entry["best_variant"] in ("original", "mask_hog_all")
    # Both phases of both pretrained arms and the one from scratch.
    assert [begun[0][0] for begun in here].count("reconstruction.train") == 2
    assert [begun[0][0] for begun in here].count("transfer_learning.train") == 3


def test_without_archives_the_official_ones_are_downloaded():
    (prepare, arguments), *_ = commands()
    assert prepare == "data.prepare"
    assert "--download" in arguments
    assert str(FULL.relative_to(ROOT)) in arguments


def test_the_dry_run_has_the_arms_of_the_full_one():
    full, dry = (yaml.safe_load(path.read_text()) for path in (FULL, DRY))
    assert full["ablation"]["variants"] == dry["ablation"]["variants"]
    assert full["ablation"]["pretraining"].keys() == dry["ablation"]["pretraining"].keys()


def test_the_full_one_has_the_size_and_length_of_the_original():
    content = yaml.safe_load(FULL.read_text())
    arms, phase_1 = content["ablation"]["common"], content["ablation"]["pretraining_common"]
    assert content["data"]["size"] == 512
    assert phase_1["epochs"] == 200
    # 2,944 pictures of the official trainval are Train: 92 batches of 32 make an epoch.
    assert arms["max_steps"] == 200 * -(-2944 // arms["batch_size"])
    assert arms["val_every"] == -(-2944 // arms["batch_size"])
