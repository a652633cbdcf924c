"""Prepared data are of what lies there now: content says so, times spare a look at most."""

import json
import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from own_pictures import indices, write_masks, write_pictures
from PIL import Image
from sample_pets import make_pets, picture, size_of, trimap
from sample_sources import FORMS, config_of, pack

from core.errors import UserError
from data.prepare import prepare
from data.prepare_config import PrepareConfig
from data.preparing import inputs


@pytest.fixture
def pets(tmp_path) -> PrepareConfig:
    folder = make_pets(tmp_path / "pets")
    return PrepareConfig(archives=folder, output_dir=tmp_path / "out", raw_dir=tmp_path / "raw", size=40, workers=1)


@pytest.fixture
def own(tmp_path) -> PrepareConfig:
    names = [f"p{number}" for number in range(8)]
    images = write_pictures(tmp_path / "images", names, ".bmp")
    masks = write_masks(tmp_path / "masks", {name: indices(seed, 3) for seed, name in enumerate(names)})
    return PrepareConfig(dataset="folder", images=images, masks=masks, output_dir=tmp_path / "out", size=40, workers=1)


def refused(config: PrepareConfig, message: str) -> None:
    with pytest.raises(UserError) as error:
        prepare(config)
    assert f"{config.output_dir} was prepared before {message}" in str(error.value)
    assert str(error.value).endswith("give another --output_dir, or delete that one first")


def same_size(path: Path) -> None:
    """Change a byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_mask_that_came_or_changed_in_unpacked_archives(pets):
    trimaps = pets.archives / "annotations" / "trimaps"
    (trimaps / "pug_1.png").rename(pets.archives / "pug_1.png")
    prepare(pets)
    prepare(pets)
    (pets.archives / "pug_1.png").rename(trimaps / "pug_1.png")
    refused(pets, f"{trimaps / 'pug_1.png'} came")
    (trimaps / "pug_1.png").unlink()
    Image.fromarray(255 - trimap(*size_of("pug_3"))).save(trimaps / "pug_3.png")
    refused(pets, f"{trimaps / 'pug_3.png'} changed")
    (trimaps / "pug_3.png").unlink()
    refused(pets, f"{trimaps / 'pug_3.png'} went")


def test_pictures_and_lists_of_unpacked_archives(pets):
    prepare(pets)
    image = pets.archives / "images" / "pug_2.jpg"
    content = image.read_bytes()
    same_size(image)
    refused(pets, f"{image} changed")
    image.write_bytes(content)
    prepare(pets)
    image.unlink()
    refused(pets, f"{image} went")
    image.write_bytes(content)
    trainval, test = (pets.archives / "annotations" / f"{name}.txt" for name in ("trainval", "test"))
    *lines, last = trainval.read_text().splitlines()
    trainval.write_text("\n".join(lines))
    test.write_text(f"{test.read_text()}{last}\n")
    refused(pets, "the lists said otherwise of pug_5")


def test_other_archives(pets, tmp_path):
    packed = tmp_path / "packed"
    packed.mkdir()

    def pack(name: str) -> None:
        with tarfile.open(packed / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(pets.archives / name, name)

    for name in ("images", "annotations"):
        pack(name)
    config = replace(pets, archives=packed)
    prepare(config)
    shutil.rmtree(config.raw_dir)
    os.utime(packed / "images.tar.gz")
    prepare(config)
    assert not config.raw_dir.exists()  # nothing was unpacked to compare
    Image.fromarray(picture(77)).save(pets.archives / "images" / "pug_1.jpg")
    pack("images")
    refused(config, f"{packed / 'images.tar.gz'} changed")
    (packed / "images.tar.gz").unlink()
    refused(config, f"{packed / 'images.tar.gz'} went")


def test_an_official_archive_that_came(tmp_path):
    FORMS["isic"].make(tmp_path / "data")
    packed = tmp_path / "packed"
    pack(tmp_path / "data", packed, FORMS["isic"].archives)
    late = packed / "ISIC2018_Task1-2_Test_Input.zip"
    late.rename(tmp_path / late.name)
    config = config_of(FORMS["isic"], packed, output_dir=tmp_path / "out", size=16, workers=1)
    prepare(config)
    (packed / "other.zip").touch()
    prepare(config)
    (tmp_path / late.name).rename(late)
    refused(config, f"{late} came")


def test_own_files_of_the_same_size(own):
    prepare(own)
    for path in (own.images / "p3.bmp", own.masks / "p5.png"):
        content = path.read_bytes()
        same_size(path)
        refused(own, f"{path} changed")
        path.write_bytes(content)
        prepare(own)
    (own.masks / "p1.png").rename(own.masks.parent / "p1.png")
    refused(own, f"{own.masks / 'p1.png'} went")
    (own.masks.parent / "p1.png").rename(own.masks / "p1.png")
    prepare(own)
    Image.fromarray(picture(50)).save(own.images / "new.png")
    refused(own, f"files in {own.images} or its masks changed")


def test_a_picture_that_was_left_out_and_is_mended(own):
    broken = own.images / "p2.bmp"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:60] + bytes(len(whole) - 60)[::-1])
    broken.write_bytes(whole[: len(whole) // 2])
    (own.masks / "p2.png").unlink()
    prepare(own)
    broken.write_bytes(whole)
    refused(own, f"{broken} changed")


def test_times_spare_a_look_and_alone_change_nothing(own, monkeypatch):
    prepare(own)
    looked = []
    monkeypatch.setattr(inputs, "_digest", lambda path, stamp: looked.append(path))
    prepare(own)
    assert not looked
    monkeypatch.undo()
    for path in own.images.iterdir():
        os.utime(path)
    prepare(own)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"archives": {}, "files": [[1]]}', '{"archives": [], "files": 3}']
)
def test_a_damaged_record_of_what_was_read_is_one_line(own, content):
    prepare(own)
    (own.output_dir / "inputs.json").write_text(content)
    with pytest.raises(UserError, match=r"inputs\.json is missing or damaged, so what was prepared cannot be compared"):
        prepare(own)


def test_what_was_read_is_told_by_data_of_today(own):
    prepare(own)
    path = own.output_dir / "inputs.json"
    content = json.loads(path.read_text())
    content["files"] = [row for row in content["files"] if row[0] != "p4"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"inputs\.json is missing or damaged"):
        prepare(own)
    path.unlink()
    with pytest.raises(UserError, match=r"inputs\.json is missing or damaged"):
        prepare(own)
    manifest = json.loads((own.output_dir / "manifest.json").read_text())
    manifest.pop("sha256")
    manifest["format_version"] = 2
    (own.output_dir / "manifest.json").write_text(json.dumps(manifest))
    prepare(own)  # of before, by names and sizes
