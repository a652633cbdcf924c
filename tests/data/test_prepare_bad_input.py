import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_pets import make_pets, manifest_of, picture, report_of, size_of, trimap

from core.errors import UserError
from data.prepare import main, prepare
from data.prepare_config import PrepareConfig


@pytest.fixture
def pets(tmp_path) -> Path:
    return make_pets(tmp_path / "pets")


@pytest.fixture
def config(pets, tmp_path) -> PrepareConfig:
    return PrepareConfig(archives=pets, output_dir=tmp_path / "out", raw_dir=tmp_path / "raw", size=48, workers=2)


def bad_masks(pets: Path) -> None:
    folder = pets / "annotations" / "trimaps"
    Image.fromarray(trimap(41, 60)).save(folder / "Bengal_1.png")
    Image.fromarray(np.full(size_of("pug_1"), 7, np.uint8)).save(folder / "pug_1.png")
    (folder / "pug_3.png").write_bytes(b"cut")
    Image.fromarray(picture(0, *size_of("pug_5"))).save(folder / "pug_5.png")


def test_masks_that_do_not_fit_stop_everything_by_name(config, pets, capsys):
    bad_masks(pets)
    arguments = ["--archives", str(pets), "--output_dir", str(config.output_dir), "--size", "48"]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "trimaps/Bengal_1.png: 60 x 41 pixels, its image has 60 x 40" in line
    assert "trimaps/pug_1.png: holds [7], allowed are (1, 2, 3)" in line
    assert "trimaps/pug_3.png: not a picture" in line
    assert "trimaps/pug_5.png: PNG of mode RGB" in line
    assert "--bad_masks leave_out" in line
    assert not config.output_dir.exists()
    assert not Path(f"{config.output_dir}.partial").exists()
    assert main([*arguments, "--bad_masks", "leave_out"]) == 0
    labelled = {record["name"] for record in manifest_of(config)["images"] if record["labelled"]}
    assert not labelled & {"Bengal_1", "pug_1", "pug_3", "pug_5"}
    assert {file for file, action, _ in report_of(config) if action == "mask left out"} == {
        f"annotations/trimaps/{name}.png" for name in ("Bengal_1", "pug_1", "pug_3", "pug_5")
    }


def test_bad_settings_are_one_line_and_exit_code_2(config, pets, tmp_path, capsys):
    out = ["--output_dir", str(tmp_path / "out")]
    empty = tmp_path / "empty"
    empty.mkdir()
    bad = {
        "either --archives DIR or --download": [],
        "has no meaning for --dataset drawn_pets": ["--dataset", "synthetic", "--archives", str(pets)],
        "--classes has no meaning for --dataset oxford_pets": ["--archives", str(pets), "--classes", "a", "b"],
        "dataset 'oxford_pet' is unknown; did you mean oxford_pets?": ["--dataset", "oxford_pet"],
        "drawn pets are squares": ["--dataset", "drawn_pets", "--size", "40x60"],
        "size 0 is outside": ["--archives", str(pets), "--size", "0"],
        "size -5 is outside": ["--archives", str(pets), "--size", "-5"],
        "val_ratio 1.5 is outside": ["--archives", str(pets), "--val_ratio", "1.5"],
        "workers -1": ["--archives", str(pets), "--workers", "-1"],
        "num_images 0": ["--dataset", "synthetic", "--num_images", "0"],
        "labelled_fraction 2": ["--dataset", "synthetic", "--labelled_fraction", "2"],
        "is not a folder": ["--archives", str(tmp_path / "nowhere")],
        "lacks images.tar.gz and annotations.tar.gz": ["--archives", str(empty)],
        "give --images DIR": ["--dataset", "folder"],
        "holds no picture": ["--dataset", "folder", "--images", str(empty)],
    }
    for message, arguments in bad.items():
        assert main([*arguments, *out]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("trainval.txt", None, r"trainval\.txt is missing"),
        ("test.txt", "", "names no pictures"),
        ("test.txt", "pug_6 1 3 1", "line 1.*species 1 or 2"),
        ("test.txt", "pug_6 1 2", "is not 'name class species breed'"),
        ("test.txt", "../pug_6 1 2 1", "line 1"),
        ("test.txt", "pug_6 1 2 1\npug_6 1 2 1", "line 2: pug_6 is listed twice"),
        ("test.txt", "pug_1 1 2 1", "pug_1 stands in trainval.txt and in test.txt"),
    ],
)
def test_lists_that_are_missing_or_malformed(config, pets, file, content, message):
    path = pets / "annotations" / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(UserError, match=message):
        prepare(config)
    assert not config.output_dir.exists()


def test_no_listed_picture(config, pets):
    for path in (pets / "images").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="none of the 28 listed pictures"):
        prepare(config)


def test_all_pictures_damaged(config, pets):
    for path in (pets / "images").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(UserError, match="none of the 28 pictures can be used"):
        prepare(config)
    assert not config.output_dir.exists()


def test_an_archive_cut_short_leaves_nothing(config, pets, tmp_path, capsys):
    packed = tmp_path / "packed"
    packed.mkdir()
    for name in ("images", "annotations"):
        with tarfile.open(packed / f"{name}.tar.gz", "w:gz") as tar:
            tar.add(pets / name, name)
    data = (packed / "images.tar.gz").read_bytes()
    (packed / "images.tar.gz").write_bytes(data[: len(data) // 2])
    folders = ["--output_dir", str(tmp_path / "out"), "--raw_dir", str(tmp_path / "r")]
    assert main(["--archives", str(packed), *folders]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "images.tar.gz is cut short or damaged" in line
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "r").glob("[!.]*"))


def test_a_foreign_folder_is_not_touched(config):
    config.output_dir.mkdir()
    (config.output_dir / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds something else"):
        prepare(config)
    assert (config.output_dir / "thesis.tex").read_text() == "years of work"
