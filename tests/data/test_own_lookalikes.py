"""Pictures that look like masks are not taken for unlabelled ones without a word."""

from pathlib import Path

import numpy as np
import pytest
from own_pictures import indices, source_of, write_masks, write_pictures

from core.errors import UserError

NAMES = [f"a/photo.{number}" for number in range(6)] + [f"photo {number}" for number in range(6)]


def masks_of(names: list[str], before: str = "", after: str = "") -> dict[str, np.ndarray]:
    parts = ((Path(name).parent, Path(name).name) for name in names)
    return {str(folder / f"{before}{stem}{after}"): indices(seed) for seed, (folder, stem) in enumerate(parts)}


@pytest.fixture
def images(tmp_path) -> Path:
    return write_pictures(tmp_path / "images", NAMES, ".JPG")


def test_pictures_that_look_like_masks_are_refused(images, tmp_path):
    masks = write_masks(tmp_path / "masks", masks_of(NAMES))
    write_masks(images, masks_of(NAMES[:2], after="_mask"))
    with pytest.raises(UserError, match=r"2 pictures in .* look like masks of others \(\{name\}_mask\)"):
        source_of(images, masks)
    write_masks(images, masks_of(NAMES[2:5], after="_gt"))
    with pytest.raises(UserError, match="look like masks of others"):
        source_of(images)


@pytest.mark.parametrize("folder", ["masks", "trainannot", "second"])
def test_a_folder_of_masks_among_the_pictures_is_refused(tmp_path, folder):
    write_pictures(tmp_path / "first", NAMES)
    write_masks(tmp_path / folder, masks_of(NAMES))
    with pytest.raises(
        UserError, match=rf"12 pictures in .*{folder} look like masks .*--images .*first --masks .*{folder}"
    ):
        source_of(tmp_path)


@pytest.mark.parametrize(("picture_ends", "mask_ends"), [("_img", "_mask"), ("", "_Mask"), ("_image", "_GT")])
def test_names_of_masks_beside_pictures_of_another_name_are_refused(tmp_path, picture_ends, mask_ends):
    images = write_pictures(tmp_path / "images", [f"p{number}{picture_ends}" for number in range(4)], ".png")
    write_masks(images, {f"p{number}{mask_ends}": indices(number) for number in range(4)})
    with pytest.raises(UserError, match="4 .*pictures in .* (are called|look) like masks"):
        source_of(images)


def test_folders_of_a_split_with_grey_pictures_are_refused(tmp_path):
    masks = {str(number): indices(number) for number in range(4)}
    write_masks(tmp_path / "imagesTr", masks)
    write_masks(tmp_path / "labelsTr", masks)
    with pytest.raises(UserError, match="look like masks .*--images .*imagesTr --masks .*labelsTr"):
        source_of(tmp_path)


def test_pictures_that_may_be_labelled_or_masks_are_told(images, tmp_path):
    told = lambda folder: " ".join(source_of(folder).notes)  # noqa: E731
    assert "masks" not in told(images).replace("0 have a mask", "")
    for name in NAMES:
        (images / f"{name}.json").write_text("{}")
    assert "12 files beside pictures are not read" in told(images)
    assert f"--masks {images} reads them, if they are labels (labelme, YOLO)" in told(images)
    masks = write_masks(tmp_path / "masks", {name: indices(seed, 3) for seed, name in enumerate(NAMES)})
    assert "the first 5 pictures hold at most 8 values each" in told(masks)


def test_two_views_of_a_scene_are_no_masks(tmp_path):
    for camera in ("left", "right"):
        write_pictures(tmp_path / camera, NAMES)
    source = source_of(tmp_path)
    assert len(source.samples) == 24
    assert {sample.tags["folder"] for sample in source.samples} == {"left", "left/a", "right", "right/a"}
