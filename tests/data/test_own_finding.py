"""Masks are found by names, or the error says what would find them."""

import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from own_pictures import indices, labels_of, source_of, write_masks, write_pictures
from PIL import Image
from sample_pets import picture

from core.errors import UserError
from data.prepare_config import PrepareConfig
from data.sources.folder import listing
from data.sources.own.patterns import pattern_of
from data.sources.source import file_stamp

NAMES = [f"a/photo.{number}" for number in range(6)] + [f"photo {number}" for number in range(6)]


def masks_of(names: list[str], before: str = "", after: str = "") -> dict[str, np.ndarray]:
    parts = ((Path(name).parent, Path(name).name) for name in names)
    return {str(folder / f"{before}{stem}{after}"): indices(seed) for seed, (folder, stem) in enumerate(parts)}


@pytest.fixture
def images(tmp_path) -> Path:
    return write_pictures(tmp_path / "images", NAMES, ".JPG")


@pytest.mark.parametrize(
    ("before", "after"), [("", "_mask"), ("", "-gt"), ("seg ", ""), ("", ".jpg"), ("deep/er/", "_L")]
)
def test_what_would_fit_is_named_and_fits(images, tmp_path, before, after):
    folder = before if before.endswith("/") else ""
    names = {folder + name: mask for name, mask in masks_of(NAMES, before.removeprefix(folder), after).items()}
    masks = write_masks(tmp_path / "masks", names)
    pattern = f"{before}{{name}}{after}.png"
    with pytest.raises(UserError, match=r"no mask in .* fits a picture") as refused:
        source_of(images, masks)
    assert f"--mask_pattern '{pattern}' would fit 12 of 12" in str(refused.value) or before == "seg "
    source = source_of(images, masks, mask_pattern=pattern)
    assert set(labels_of(source)) == set(NAMES)
    np.testing.assert_array_equal(labels_of(source)[NAMES[3]], indices(3))


def test_three_of_forty_is_no_success(images, tmp_path):
    masks = write_masks(tmp_path / "masks", masks_of(NAMES[:3]) | masks_of([f"other {n}" for n in range(37)]))
    with pytest.raises(UserError, match="3 of 40 masks in .* fit a picture"):
        source_of(images, masks)
    with pytest.raises(UserError, match=r"3 of 40 masks in .* fit a picture by \{name\}.png: correct --mask_pattern"):
        source_of(images, masks, mask_pattern="{name}.png")
    # A few pictures of a larger set, with all their masks, are fine.
    few = write_pictures(tmp_path / "few", NAMES[:3])
    source = source_of(few, masks)
    assert len(labels_of(source)) == 3
    assert any("37 of 40 masks" in note for note in source.notes)


def test_half_of_the_masks_that_fit_no_picture_are_told(images, tmp_path):
    masks = write_masks(tmp_path / "masks", masks_of(NAMES[:7]) | masks_of(NAMES[7:], after="_gt"))
    notes = source_of(images, masks, mask_pattern="{name}.png").notes
    assert not any(
        "would fit" in note for note in source_of(images, write_masks(tmp_path / "all", masks_of(NAMES))).notes
    )
    told = next(note for note in notes if "fit no picture" in note)
    assert told.startswith("5 of 12 masks in")
    assert told.endswith("--mask_pattern '{name}_gt.png' would fit 5")


def test_a_pattern_that_fits_few_of_the_masks_beside_pictures(images):
    write_masks(images, masks_of(NAMES[:2], after="_cut") | masks_of([f"other {n}" for n in range(6)], after="_cut"))
    with pytest.raises(UserError, match="2 of 8 masks in .* fit a picture by"):
        source_of(images, mask_pattern="{name}_cut.png")
    for number in range(6):
        (images / f"other {number}_cut.png").unlink()
    assert len(labels_of(source_of(images, mask_pattern="{name}_cut.png"))) == 2


def test_masks_beside_their_pictures(images):
    write_masks(images, masks_of(NAMES[:5], after="_mask"))
    source = source_of(images)
    assert (len(source.samples), len(labels_of(source))) == (12, 5)
    assert any("--mask_pattern '{name}_mask'" in note for note in source.notes)
    said = source_of(images, images, mask_pattern="{name}_mask.png")
    assert labels_of(said).keys() == labels_of(source).keys()
    with pytest.raises(UserError, match="holds both images and masks"):
        source_of(images, images)


def test_masks_of_the_same_name_beside_their_pictures(images):
    write_masks(images, masks_of(NAMES))
    told = r"photo 0\.JPG and photo 0\.png would get the same name, but differ \(of 12 such pairs\)"
    with pytest.raises(UserError, match=told + r": .* --mask_pattern '\{name\}\.(png|JPG)'"):
        source_of(images)
    assert len(labels_of(source_of(images, mask_pattern="{name}.png"))) == 12


def test_two_masks_of_one_picture_are_refused(images, tmp_path):
    masks = write_masks(tmp_path / "masks", masks_of(NAMES))
    Image.fromarray(indices(1)).save(masks / "photo 1.TIF")
    with pytest.raises(
        UserError, match=r"photo 1\.TIF and .*photo 1\.png are both masks of photo 1, but differ: "
    ) as one:
        source_of(images, masks)
    assert str(one.value).endswith("remove one, or say which counts with --mask_pattern '{name}.png'")
    assert len(labels_of(source_of(images, masks, mask_pattern="{name}.png"))) == 12
    Image.fromarray(indices(1)).save(masks / "photo 2.PNG")
    with pytest.raises(UserError, match=r"differ \(of 2 such pairs\): remove one, or"):
        source_of(images, masks)
    (masks / "photo 1.TIF").unlink()
    with pytest.raises(UserError, match=r"photo 2\.PNG and .*photo 2\.png are both masks .* differ: remove one$"):
        source_of(images, masks)


@pytest.mark.parametrize("suffix", [".gif", ".PNG", ".tif", ".bmp"])
def test_the_same_mask_twice_is_used_once(images, tmp_path, suffix):
    masks = write_masks(tmp_path / "masks", masks_of(NAMES))
    before = labels_of(source_of(images, masks))
    for name in NAMES[3:8]:
        mask = indices(NAMES.index(name))
        Image.fromarray(mask).save(masks / f"{name}{suffix}", **({"compress_level": 1} if suffix == ".PNG" else {}))
    source = source_of(images, masks)
    after = labels_of(source)
    assert all(np.array_equal(after[name], mask) for name, mask in before.items())
    assert sorted(reason for _, reason in source.passed_over) == sorted(
        f"the same mask as {first}, which is used"
        for first in (min(f"{Path(name).name}{end}" for end in (suffix, ".png")) for name in NAMES[3:8])
    )
    assert listing(PrepareConfig(dataset="folder", images=images, masks=masks)) == source.details["listing"]


def test_a_file_that_is_no_mask_gives_way_to_one_that_is(images, tmp_path):
    masks = write_masks(tmp_path / "masks", masks_of(NAMES))
    Image.fromarray(picture(1)).save(masks / "photo 1.jpg")  # before .png
    (masks / "photo 2.webp").write_bytes(b"RIFF")  # behind it
    source = source_of(images, masks)
    for number in (1, 2):
        np.testing.assert_array_equal(labels_of(source)[f"photo {number}"], indices(6 + number))
    reasons = {Path(file).name: reason for file, reason in source.passed_over}
    assert reasons.keys() == {"photo 1.jpg", "photo 2.webp"}
    assert reasons["photo 1.jpg"].startswith("a lossy picture (JPEG) blurs")
    (row,) = [sample for sample in source.samples if sample.name == "photo 1"]
    assert [path.name for path in row.files] == ["photo 1.JPG", "photo 1.png"]
    stamp = file_stamp(*row.files)
    assert row.stamp[: len(stamp)] == stamp


def test_the_same_picture_twice_is_used_once(tmp_path):
    images = write_pictures(tmp_path / "images", ["one", "two", "three"], ".png")
    for name in ("one", "two"):
        Image.open(images / f"{name}.png").save(images / f"{name}.bmp")
    source = source_of(images)
    assert [sample.name for sample in source.samples] == ["one", "three", "two"]
    assert {reason for _, reason in source.passed_over} == {
        f"the same picture as {name}.bmp, which is used" for name in ("one", "two")
    }
    Image.fromarray(picture(9)).save(images / "two.tif")
    with pytest.raises(
        UserError, match=r"two\.bmp and two\.tif would get the same name, but differ \(of 3 such pairs\)"
    ):
        source_of(images)
    deep = np.arange(2400, dtype=np.uint16).reshape(40, 60)
    for name in ("a.png", "a.tif", "b.png"):
        path = tmp_path / "deep" / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(deep).save(path)
    assert len(source_of(tmp_path / "deep").samples) == 2
    Image.fromarray(deep + 1).save(tmp_path / "deep/b.tif")  # of eight bits they are the same
    with pytest.raises(UserError, match=r"b\.png and b\.tif would get the same name, but differ"):
        source_of(tmp_path / "deep")


def test_composed_and_decomposed_letters_are_the_same_name(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Käse é") for form in ("NFC", "NFD"))
    images = write_pictures(tmp_path / "images", [decomposed, "other"])
    masks = write_masks(tmp_path / "masks", masks_of([composed]))
    (tmp_path / "tags.csv").write_text(f"file,taste\n{decomposed}.jpg,good\n", encoding="utf-8")
    source = source_of(images, masks, tag_file=tmp_path / "tags.csv")
    assert list(labels_of(source)) == [composed]
    assert next(sample for sample in source.samples if sample.label).tags["taste"] == "good"


def test_masks_in_folders_of_splits_are_no_classes(tmp_path):
    images = write_pictures(tmp_path / "images", ["one", "two", "three"])
    binary = {f"{split}/{name}": indices(0, 2) for split, name in (("train", "one"), ("val", "two"), ("test", "three"))}
    with pytest.raises(UserError, match="no mask in .* fits a picture"):
        source_of(images, write_masks(tmp_path / "masks", binary))


def test_masks_in_folders_of_batches_are_no_classes(images, tmp_path):
    masks = {f"{2021 + seed % 2}/{name}": indices(seed, 2) for seed, name in enumerate(NAMES[6:])}
    folder = write_masks(tmp_path / "masks", masks)
    with pytest.raises(UserError, match=r"one mask in .*, those of 2021, 2022: .*--mask_pattern '\{class\}/\{name\}'"):
        source_of(images, folder)
    source = source_of(images, folder, mask_pattern="{class}/{name}")
    assert source.classes.names == ("background", "2021", "2022")
    write_masks(folder, {f"2021/{NAMES[7]}": indices(0, 2)})
    assert source_of(images, folder).classes.names == ("background", "2021", "2022")


def test_lossy_masks_are_refused_with_the_remedy(images, tmp_path):
    for name in NAMES:
        path = tmp_path / "masks" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(indices(1)).save(path)
    with pytest.raises(UserError, match=r"photo\.0\.jpg, .*: a lossy picture .* export the masks again as PNG"):
        source_of(images, tmp_path / "masks")


@pytest.mark.parametrize(
    ("file", "of_folder", "of_file"),
    [
        (
            "annotations.json",
            "no annotation in .* has the name of a picture",
            "is no annotation that is read here: COCO",
        ),
        ("a/photo.1.txt", r"photo\.1\.txt: line 1: '{}' is no number", "is neither a folder of masks nor annotations"),
        ("photo 1.json", r"photo 1\.json: it holds no list of shapes", "is no annotation that is read here"),
        ("photo 1.xml", "no mask|no annotation", "is neither a folder of masks nor annotations: read are COCO"),
    ],
)
def test_what_is_no_annotation_is_refused_with_those_that_are(images, tmp_path, file, of_folder, of_file):
    path = tmp_path / "labels" / file
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    for masks, error in ((tmp_path / "labels", of_folder), (path, of_file)):
        with pytest.raises(UserError, match=error):
            source_of(images, masks)


def test_masks_of_another_size_are_named_before_anything_is_written(images, tmp_path):
    masks = write_masks(tmp_path / "masks", masks_of(NAMES))
    Image.fromarray(indices(1)[:, :50]).save(masks / "photo 1.png")
    (masks / "photo 2.png").write_bytes((masks / "photo 2.png").read_bytes()[:60])
    with pytest.raises(
        UserError, match=r"photo 1\.png: 50 x 40 pixels, its image has 60 x 40; .*photo 2\.png: damaged"
    ):
        source_of(images, masks)
    source = source_of(images, masks, bad_masks="leave_out")
    assert len(source.classes) == 6


def test_pipes_are_not_opened(images, tmp_path):
    os.mkfifo(images / "pipe.png")
    os.mkfifo(images / "pipe.txt")
    masks = write_masks(tmp_path / "masks", masks_of(NAMES))
    os.mkfifo(masks / "pipe.png")
    source = source_of(images, masks)
    assert len(source.samples) == 12
    assert sum("not a regular file" in reason for _, reason in source.passed_over) == 2


@pytest.mark.parametrize("text", ["mask.png", "{name}_{name}.png", "{picture}.png"])
def test_patterns_need_the_name(text):
    with pytest.raises(UserError, match=r"it needs \{name\} once"):
        pattern_of(text)


@pytest.mark.parametrize(
    ("pattern", "file", "found"),
    [
        ("{name}_mask.png", "a/b/tom_mask.PNG", ("a/b/tom", "")),
        ("{name}_mask.png", "a/b/tom_mask.gif", None),
        ("mask_{name}", "a/mask_tom.gif", ("a/tom", "")),
        ("gt/{name}.png", "gt/a/tom.png", ("a/tom", "")),
        ("{class}/{name}.png", "cat/a/tom.png", ("a/tom", "cat")),
        ("{name}/{class}.png", "a/tom/cat.png", ("a/tom", "cat")),
        ("{name}+(1).png", "tom+(1).png", ("tom", "")),
    ],
)
def test_patterns_give_the_pictures_name(tmp_path, pattern, file, found):
    assert pattern_of(pattern).match(tmp_path / file, tmp_path) == found


@pytest.mark.parametrize(
    ("pattern", "file", "found"),
    [
        ("{name}_training.tif => {name}_manual1.gif", "a/21_manual1.gif", ("a/21_training", "")),
        ("{name}_photo=>{name}", "tom.png", ("tom_photo", "")),
        ("photos/{name}.x => gt/{name}_y", "gt/a/tom_y.png", ("photos/a/tom.x", "")),
        ("photo_{name} => {name}_{class}.png", "tom_car.png", ("photo_tom", "car")),
    ],
)
def test_patterns_give_a_picture_whose_name_has_more_than_the_masks(tmp_path, pattern, file, found):
    assert pattern_of(pattern).match(tmp_path / file, tmp_path) == found


@pytest.mark.parametrize("text", ["photo => {name}.png", "{name}{name} => {name}", "{class}/{name} => {name}"])
def test_patterns_need_the_name_in_the_picture_too(text):
    with pytest.raises(UserError, match=r"before => it needs \{name\} once"):
        pattern_of(text)


def test_masks_whose_pictures_have_an_ending_of_their_own(tmp_path):
    images = write_pictures(tmp_path / "images", ["21_training", "22_training", "a/23_training"], ".tif")
    write_masks(tmp_path / "masks", {"21_manual1": indices(0), "22_manual1": indices(1), "a/23_manual1": indices(2)})
    with pytest.raises(UserError, match=r"no mask in .* fits a picture: .*\('\{name\}_photo => \{name\}_mask.png' for"):
        source_of(images, tmp_path / "masks")
    pattern = "{name}_training => {name}_manual1.png"
    for masks in (tmp_path / "masks", tmp_path / "images"):
        labels = labels_of(source_of(images, masks, mask_pattern=pattern))
        assert labels.keys() == {"21_training", "22_training", "a/23_training"}
        np.testing.assert_array_equal(labels["a/23_training"], indices(2))
        shutil.copytree(tmp_path / "masks", images, dirs_exist_ok=True)
    write_masks(tmp_path / "layers", {"21_red_car": indices(3, 2), "21_sky": indices(4, 2)})
    source = source_of(images, tmp_path / "layers", mask_pattern="{name}_training => {name}_{class}")
    assert labels_of(source).keys() == {"21_training"}
    assert source.classes.names == ("background", "red_car", "sky")


@pytest.mark.parametrize("pattern", ["{name}_{class}.png", "{class}_{name}.png"])
def test_classes_and_pictures_with_the_mark_between_them(tmp_path, pattern):
    names = [f"{folder}p_{number}" for folder in ("", "a/") for number in range(4)]
    images = write_pictures(tmp_path / "images", names)
    for value, key in ((1, "red_car"), (2, "sky")):
        for seed, name in enumerate(names):
            folder, _, stem = name.rpartition("/")
            path = tmp_path / "masks" / folder / pattern.replace("{name}", stem).replace("{class}", key)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((indices(seed, 3) == value).astype(np.uint8)).save(path)
    source = source_of(images, tmp_path / "masks", mask_pattern=pattern)
    assert source.classes.names == ("background", "red_car", "sky")
    np.testing.assert_array_equal(labels_of(source)["a/p_1"], indices(5, 3))
    assert not any("fit no picture" in note for note in source.notes)


def test_a_mask_that_is_a_picture_by_mistake(images, tmp_path):
    masks = tmp_path / "masks"
    for seed, name in enumerate(NAMES):
        (masks / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(seed, 40, 60)).save(masks / f"{name}.png")
    with pytest.raises(UserError, match="colours besides black and white, too many to be classes"):
        source_of(images, masks)
