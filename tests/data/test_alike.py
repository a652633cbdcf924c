"""Copies of one picture lie in one split where the division is ours, and are reported where it is official."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_pictures import indices, write_masks
from PIL import Image
from sample_pets import TEST, TRAINVAL, make_pets, manifest_of, picture, report_of

from core.errors import UserError
from data.prepare import prepare
from data.prepare_config import PrepareConfig
from data.preparing.alike import Looks, clusters
from data.preparing.looks import Look, look_of

SIDES = (60, 80)


def looks(*images: np.ndarray) -> list[tuple[int, int, bool]]:
    found = Looks()
    for image in images:
        found.add(look_of(image))
    return sorted(tuple(pair) for pair in found.pairs())


def saved(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def test_what_counts_as_a_copy():
    image = picture(1, 120, 160)
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    copies = [
        image,
        saved(image, 60),
        cv2.resize(image, (97, 73), interpolation=cv2.INTER_AREA),
        cv2.convertScaleAbs(image, alpha=0.9, beta=8),
        grey,
    ]
    strangers = [picture(seed, 120, 160) for seed in range(2, 40)]
    shifted = np.roll(image, 60, axis=1)
    found = looks(*copies, *strangers, shifted, image[::-1])
    assert {place for pair in found for place in pair[:2]} == set(range(len(copies)))
    assert clusters(len(copies), [pair[:2] for pair in found]) == [list(range(len(copies)))]
    assert not any(same for *_, same in found)
    assert looks(image, image.copy(), picture(2, *SIDES)) == [(0, 1, True)]


def test_flat_pictures_are_copies_to_the_pixel_alone():
    black, dark = np.zeros((*SIDES, 3), np.uint8), np.full((*SIDES, 3), 3, np.uint8)
    assert looks(black, dark, np.zeros((30, 30, 3), np.uint8)) == []
    assert looks(black, dark, black) == [(0, 2, True)]


def test_content_survives_grey_read_as_colour_and_is_of_every_pixel():
    grey = picture(3)[..., 0]
    assert look_of(grey).content == look_of(np.repeat(grey[..., None], 3, axis=2)).content
    other = grey.copy()
    other[7, 9] ^= 1
    assert len({look_of(image).content for image in (grey, other, grey.reshape(-1, 20))}) == 3
    look = look_of(picture(4))
    again = Look.of_text(look.text())
    assert (again.content, again.differences, again.thumbnail.tolist()) == (*look[:2], look.thumbnail.tolist())


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=15))
def test_clusters_are_what_hangs_together(count, pairs):
    pairs = [pair for pair in pairs if max(pair) < count]
    reached = np.eye(count, dtype=bool)
    for first, second in pairs:
        reached[first, second] = reached[second, first] = True
    for middle in range(count):
        reached |= np.outer(reached[:, middle], reached[middle])
    expected = {tuple(np.flatnonzero(row).tolist()) for row in reached if row.sum() > 1}
    assert {tuple(found) for found in clusters(count, pairs)} == expected


def own(tmp_path: Path, images: dict[str, np.ndarray], labelled: list[str], **settings) -> PrepareConfig:
    for name, image in images.items():
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    if labelled:
        write_masks(tmp_path / "masks", {name: indices(place, 3) for place, name in enumerate(labelled)})
        settings["masks"] = tmp_path / "masks"
    paths = {"images": tmp_path / "images", "output_dir": tmp_path / settings.pop("out", "out")}
    return PrepareConfig(dataset="folder", size=40, workers=1, **paths, **settings)


def splits_of(config: PrepareConfig) -> dict[str, str]:
    return {record["name"]: record["split"] for record in manifest_of(config)["images"]}


def twice(count: int = 12) -> dict[str, np.ndarray]:
    """Return so many pictures, each saved once more as JPEG would change it."""
    first = {f"{number:02d}": picture(number, 40, 60) for number in range(count)}
    return first | {f"copy {name}": saved(image, 80) for name, image in first.items()}


@pytest.mark.parametrize("settings", [{}, {"seed": 3}, {"val_ratio": 0.1, "test_ratio": 0.1}, {"folds": 3, "fold": 1}])
def test_copies_lie_in_one_split_with_their_files(tmp_path, settings, capsys):
    images = twice()
    config = own(tmp_path, images, list(images), **settings)
    prepare(config)
    splits = splits_of(config)
    assert all(splits[name] == splits[f"copy {name}"] for name in images if f"copy {name}" in splits)
    assert set(splits.values()) == {"Train", "Val", "Test"}
    for name, split in splits.items():
        for folder in ("resized", "original_labels"):
            assert (config.output_dir / split / folder / f"{name}.png").is_file()
    assert sum(1 for _ in config.output_dir.rglob("resized/*.png")) == len(images)
    moved = [note for note in report_of(config) if note[1] == "moved to its copy"]
    assert moved
    assert f"{len(moved)} pictures are copies of others" in capsys.readouterr().out
    listed = json.loads((config.output_dir / "splits.json").read_text())
    assert {name: split for split, names in listed.items() for name in names} == splits


def test_every_labelled_picture_is_test_in_one_fold_and_copies_together(tmp_path):
    images = twice(8)
    tests = []
    for fold in range(4):
        config = own(tmp_path, images, list(images), folds=4, fold=fold, out=f"fold {fold}")
        prepare(config)
        tests += [name for name, split in splits_of(config).items() if split == "Test"]
    assert sorted(tests) == sorted(images)


@pytest.mark.parametrize("fold", [0, 1])
def test_folds_that_copies_would_leave_too_few_for_stay_as_drawn(tmp_path, fold, capsys):
    images = {f"{number}": picture(number % 3) for number in range(9)}  # three pictures, three times each
    folds = {"folds": 2, "fold": fold}
    config = own(tmp_path, images, list(images), **folds)
    prepare(config)
    said = capsys.readouterr().out
    assert "pictures are so alike that no division keeps them together" in said
    assert "are copies of pictures in another split" in said
    apart = own(tmp_path / "apart", {name: picture(int(name)) for name in images}, list(images), **folds)
    prepare(apart)
    assert splits_of(config) == splits_of(apart)


def test_groups_stay_whole_with_the_copies_of_their_pictures(tmp_path):
    images = {f"p{patient}/{number}": picture(10 * patient + number) for patient in range(6) for number in range(3)}
    images["p4/9"] = saved(images["p1/0"], 85)
    config = own(tmp_path, images, [], group_by="folder")
    prepare(config)
    splits = splits_of(config)
    of_patient = {name: splits[name] for name in splits}
    for patient in range(6):
        assert len({split for name, split in of_patient.items() if name.startswith(f"p{patient}/")}) == 1
    assert splits["p4/0"] == splits["p1/0"]


def test_without_copies_nothing_moves_and_what_cannot_be_kept_together_is_said(tmp_path, capsys):
    images = {f"{number}": picture(number) for number in range(10)}
    config = own(tmp_path, images, [])
    prepare(config)
    assert not [note for note in report_of(config) if "cop" in note[1]]
    alike = own(tmp_path / "alike", dict.fromkeys(images, picture(1)), [])
    prepare(alike)
    assert splits_of(alike) == splits_of(config)
    said = capsys.readouterr().out
    assert "10 pictures are so alike that no division keeps them together" in said
    assert "--group_by" in said


def test_a_kill_after_the_move_ends_alike(tmp_path, monkeypatch):
    images = twice(6)
    whole = own(tmp_path, images, list(images), out="whole")
    prepare(whole)
    config = own(tmp_path, images, list(images))
    with monkeypatch.context() as patch:
        patch.setattr("data.prepare.make_manifest", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare(config)
    prepare(config)
    assert manifest_of(config) == manifest_of(whole)
    files = [{path.relative_to(c.output_dir) for path in c.output_dir.rglob("*.png")} for c in (config, whole)]
    assert files[0] == files[1]


def test_official_splits_stay_and_copies_across_them_are_reported(tmp_path, capsys):
    folder = make_pets(tmp_path / "pets")
    image = Image.open(folder / "images" / f"{TRAINVAL[0]}.jpg")
    image.save(folder / "images" / f"{TEST[0]}.jpg", quality=70)
    config = PrepareConfig(archives=folder, output_dir=tmp_path / "out", raw_dir=tmp_path / "raw", size=48, workers=1)
    prepare(config)
    splits = splits_of(config)
    assert splits[TEST[0]] == "Test"
    assert sorted(name for name, split in splits.items() if split == "Test") == sorted(TEST)
    (note,) = [note for note in report_of(config) if note[1] == "copy in another split"]
    assert note[0] == TEST[0]
    assert note[2] == f"Test: nearly the same picture as {TRAINVAL[0]} of {splits[TRAINVAL[0]]}"
    assert (
        f"note: 1 of Test are copies of pictures in another split, or nearly (first {TEST[0]}"
        in capsys.readouterr().out
    )


def test_given_splits_of_own_pictures_stay_and_copies_are_reported(tmp_path):
    images = twice(4)
    given = {"train": ["00", "01", "02", "copy 00"], "val": ["03", "copy 01"], "test": ["copy 02", "copy 03"]}
    (tmp_path / "splits.json").write_text(json.dumps(given))
    config = own(tmp_path, images, [], splits=tmp_path / "splits.json")
    prepare(config)
    assert splits_of(config) == {name: split.title() for split, names in given.items() for name in names}
    noted = {name: reason for name, action, reason in report_of(config) if action == "copy in another split"}
    assert noted.keys() == {"copy 01", "copy 02", "copy 03"}
    assert noted["copy 03"] == "Test: nearly the same picture as 03 of Val"


def test_copies_across_given_splits_are_left_out_of_the_earlier_one(tmp_path, capsys):
    images = twice(4) | {"other": picture(50, 40, 60), "another": picture(51, 40, 60)}
    given = {"train": ["00", "01", "02", "other"], "val": ["03", "another"], "test": ["copy 01", "copy 03"]}
    left = {**given, "train": ["00", "02", "other"], "val": ["another"]}
    (tmp_path / "splits.json").write_text(json.dumps(given))
    images = {name: images[name] for names in given.values() for name in names}
    config = own(tmp_path, images, list(images), splits=tmp_path / "splits.json", copies="leave_out")
    prepare(config)
    assert splits_of(config) == {name: split.title() for split, names in left.items() for name in names}
    noted = {name: reason for name, action, reason in report_of(config) if action.startswith("left out")}
    assert noted == {
        "01": "Train: nearly the same picture as copy 01 of Test",
        "03": "Val: nearly the same picture as copy 03 of Test",
    }
    assert "1 of Train and 1 of Val are copies of pictures in a later split" in capsys.readouterr().out
    kept = {name for names in left.values() for name in names}
    assert {path.stem for path in config.output_dir.rglob("*.png")} == kept
    prepare(config)
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(UserError, match="--copies leave_out there, not given asked"):
        prepare(dataclasses.replace(config, copies="report"))
    (tmp_path / "masks" / "01.png").unlink()  # of one that was left out: it was read all the same
    with pytest.raises(UserError, match="was prepared before"):
        prepare(config)


def test_copies_whose_loss_would_empty_a_split_are_refused(tmp_path):
    images = twice(2) | {"other": picture(50, 40, 60)}
    given = {"train": ["other"], "val": ["00", "01"], "test": ["copy 00", "copy 01"]}
    (tmp_path / "splits.json").write_text(json.dumps(given))
    config = own(tmp_path, images, list(images), splits=tmp_path / "splits.json", copies="leave_out")
    with pytest.raises(UserError, match="of the copies 2 of Val would be left out, and a split be without pictures"):
        prepare(config)
    assert not config.output_dir.exists()
