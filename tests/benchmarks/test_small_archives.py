"""That Pets' archives written small hold what is learned from and scored, and prepare as the official ones do."""

import tarfile
from pathlib import Path

import pytest
from sample_pets import TEST, TRAINVAL, make_pets, manifest_of

from benchmarks.small_archives import main
from data.prepare import prepare
from data.prepare_config import PrepareConfig


@pytest.fixture
def archives(tmp_path) -> Path:
    folder = make_pets(tmp_path / "pets")
    for name in ("images", "annotations"):
        with tarfile.open(folder / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(folder / name, name)
    return folder


def test_the_small_archives_prepare_without_what_nothing_reads(archives, tmp_path, capsys):
    assert main(["--archives", str(archives), "--output_dir", str(tmp_path / "small"), "--size", "24"]) == 0
    assert "pictures, quality 90" in capsys.readouterr().out
    config = PrepareConfig(archives=tmp_path / "small", output_dir=tmp_path / "out", raw_dir=tmp_path / "raw", size=24)
    prepare(config)
    records = manifest_of(config)["images"]
    masks = {path.stem for path in (archives / "annotations/trimaps").iterdir()}
    assert masks < {*TRAINVAL, *TEST}
    assert {record["name"] for record in records} == {*TRAINVAL, *(masks & {*TEST})}
    assert all(max(record["geometry"]["height"], record["geometry"]["width"]) == 24 for record in records)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--most_mib", "0"], "numbers from 1 upwards"),
        (["--archives", "nowhere"], "--archives needs the folder that holds images.tar.gz"),
        ([], "--archives needs the folder"),
    ],
)
def test_what_it_cannot_do_is_said(flags, message, capsys):
    assert main(flags) == 2
    assert message in capsys.readouterr().err
    assert not Path("data/small_archives").exists()


def test_it_never_writes_over_the_archives(archives, capsys):
    assert main(["--archives", str(archives), "--output_dir", str(archives)]) == 2
    assert "would replace those" in capsys.readouterr().err
