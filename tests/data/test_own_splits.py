"""Official splits, folds, groups and tags of one's own pictures."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from own_pictures import indices, source_of, write_masks, write_pictures

from core.errors import UserError
from data.sources.source import hash_splits

NAMES = [f"{patient}/slice.{number}" for patient in ("ann", "ben", "cat", "dan", "eve") for number in range(4)]
LABELLED = [name for name in NAMES if not name.endswith("3")]


@pytest.fixture
def images(tmp_path) -> Path:
    return write_pictures(tmp_path / "images", NAMES)


@pytest.fixture
def masks(tmp_path) -> Path:
    return write_masks(tmp_path / "masks", {name: indices(seed) for seed, name in enumerate(LABELLED)})


@pytest.fixture
def tags(tmp_path) -> Path:
    lines = ["file;patient;camera", *(f"{name}.jpg;{name[:3]};{'x' if name[-1] == '0' else ''}" for name in NAMES)]
    (tmp_path / "tags.csv").write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "tags.csv"


def splits_of(source) -> dict[str, str]:
    return {sample.name: sample.split for sample in source.samples}


OFFICIAL = {"train": NAMES[:10], "val": NAMES[10:14], "test": NAMES[14:]}


def as_json(folder: Path) -> Path:
    (folder / "splits.json").write_text(
        json.dumps({key: [f"{name}.jpg" for name in OFFICIAL[key]] for key in OFFICIAL})
    )
    return folder / "splits.json"


def as_csv(folder: Path) -> Path:
    rows = [f"{name},{split.upper()}" for split, names in OFFICIAL.items() for name in names]
    (folder / "splits.csv").write_text("\n".join(["file,split", *rows]))
    return folder / "splits.csv"


def as_lists(folder: Path) -> Path:
    (folder / "lists").mkdir()
    for split, names in OFFICIAL.items():
        (folder / "lists" / f"{split}.txt").write_text("\n".join(names) + "\n\n")
    return folder / "lists"


@pytest.mark.parametrize("write", [as_json, as_csv, as_lists])
def test_official_splits(images, masks, tmp_path, write):
    expected = {name: split.capitalize() for split, names in OFFICIAL.items() for name in names}
    assert splits_of(source_of(images, masks, splits=write(tmp_path))) == expected


def test_splits_by_the_pictures_own_folders(tmp_path):
    names = [f"{split}/{number}" for split in ("train", "Valid", "test") for number in range(3)]
    images = write_pictures(tmp_path / "images", names)
    source = source_of(images, splits=Path("folders"))
    assert Counter(splits_of(source).values()) == {"Train": 3, "Val": 3, "Test": 3}
    assert splits_of(source)["Valid/1"] == "Val"
    assert not any(sample.tags for sample in source.samples)
    write_pictures(images, ["stray"])
    with pytest.raises(UserError, match="stray lies in none of the folders train, val and test"):
        source_of(images, splits=Path("folders"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"train": ["gone", "ann/slice.0"], "test": ["ben/slice.0.png"]},
            r"names pictures that are not there: gone: name them",
        ),
        ({"train": NAMES[:5], "test": [f"{NAMES[2]}.jpg"]}, r"names ann/slice\.2 twice \(Train and Test\)"),
        ({"train": NAMES}, "names pictures of Train: name train and test too"),
        ({"training": NAMES[:5], "holdout": NAMES[5:]}, "'holdout' is no split"),
        ([1], "holds no lists of names"),
        ({"train": ["\ud800"], "test": NAMES[5:]}, "names pictures that are not there"),
        *(({"train": NAMES[:5], "Val": val, "test": NAMES[5:]}, "'Val' is no list of names") for val in ("b", 3, {})),
        ('{"train": ["a"], "train": ["b"], "test": ["c"]}', r"splits\.json is no JSON \('train' stands twice"),
    ],
)
def test_split_files_that_cannot_hold(images, tmp_path, content, message):
    (tmp_path / "splits.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=message):
        source_of(images, splits=tmp_path / "splits.json")


def test_lists_name_a_picture_once_and_are_text(images, tmp_path):
    lists = as_lists(tmp_path)
    (lists / "test.txt").write_text(f"{NAMES[14]}\n{NAMES[14]}.jpg\n")
    with pytest.raises(UserError, match=r"lists names .+ twice \(Test and Test\)"):
        source_of(images, splits=lists)
    for wrong in (f"../images/{NAMES[14]}", str(images / f"{NAMES[14]}.jpg")):
        (lists / "test.txt").write_text(wrong)
        with pytest.raises(UserError, match="not there: .*: name them as below their folder"):
            source_of(images, splits=lists)
    (lists / "test.txt").write_bytes(NAMES[14].encode("utf-16"))
    with pytest.raises(UserError, match=r"test\.txt is no text in UTF-8: save"):
        source_of(images, splits=lists)


def test_pipes_and_deep_lists_are_refused(images, tmp_path):
    for name, setting in (("p.json", "splits"), ("p.csv", "tag_file")):
        os.mkfifo(tmp_path / name)
        with pytest.raises(UserError, match="is not a regular file"):
            source_of(images, **{setting: tmp_path / name})
    (tmp_path / "deep.json").write_text('{"train": ' + "[" * 100_000)
    with pytest.raises(UserError, match="is no JSON"):
        source_of(images, splits=tmp_path / "deep.json")


def test_pictures_that_no_list_names(images, masks, tmp_path):
    (tmp_path / "s.json").write_text(json.dumps({"train": NAMES[:8], "test": NAMES[8:12]}))
    source = source_of(images, masks, splits=tmp_path / "s.json")
    splits = splits_of(source)
    assert {splits[name] for name in ("dan/slice.3", "eve/slice.3")} == {"Train"}
    assert "dan/slice.0" not in splits
    assert ("dan/slice.0", f"not in {tmp_path / 's.json'}") in source.passed_over
    assert "Val" in splits.values()
    assert any("names no val: Val is drawn from train" in note for note in source.notes)


def test_an_empty_list_is_told(images, tmp_path):
    lists = as_lists(tmp_path)
    (lists / "val.txt").write_text("\n")
    (lists / "train.txt").write_text("\n".join(NAMES[:14]))
    told = f"{lists / 'val.txt'} names no picture"
    assert told in source_of(images, splits=lists, val_ratio=0).notes
    assert not any("names no picture" in note for note in source_of(images, splits=as_json(tmp_path)).notes)


def test_own_tags_share_out_splits_and_labels_evenly(images, masks, tmp_path):
    for number in range(20):
        write_pictures(images, [f"more/{number}"])
    names = [*NAMES, *(f"more/{number}" for number in range(20))]
    rare = {name: "night" if place % 4 == 0 else "day" for place, name in enumerate(names)}
    (tmp_path / "t.csv").write_text("file,light\n" + "".join(f"{name},{rare[name]}\n" for name in names))
    settings = {"tag_file": tmp_path / "t.csv", "stratify_by": "light", "val_ratio": 0.25}
    for seed in range(5):
        source = source_of(images, masks, seed=seed, **settings)
        held = Counter((sample.split, sample.tags["light"]) for sample in source.samples)
        assert held == {
            ("Test", "day"): 6, ("Test", "night"): 2, ("Val", "day"): 6, ("Val", "night"): 2,
            ("Train", "day"): 18, ("Train", "night"): 6,
        }  # fmt: skip
    assert source.stratum == "light"
    assert source_of(images, masks, tag_file=tmp_path / "t.csv").stratum is None
    with pytest.raises(UserError, match="--stratify_by lite: no picture has that tag; they have folder, light"):
        source_of(images, masks, tag_file=tmp_path / "t.csv", stratify_by="lite")


def test_without_a_test_the_official_val_is_test(images, tmp_path):
    (tmp_path / "s.json").write_text(json.dumps({"train": NAMES[:15], "val": NAMES[15:]}))
    splits = splits_of(source_of(images, splits=tmp_path / "s.json"))
    assert {name for name, split in splits.items() if split == "Test"} == set(NAMES[15:])
    assert Counter(splits.values())["Val"] == 3


def test_without_a_word_splits_are_those_of_the_names_hashes(images, masks):
    assert splits_of(source_of(images, masks)) == hash_splits(NAMES, 0.2, 0.2, 42)


def test_folds_divide_labelled_pictures_only(images, masks):
    folds = [splits_of(source_of(images, masks, folds=5, fold=fold)) for fold in range(5)]
    for name in NAMES:
        tested = [splits[name] for splits in folds].count("Test")
        assert tested == (name in LABELLED)
    assert {splits[name] for splits in folds for name in set(NAMES) - set(LABELLED)} == {"Train"}
    with pytest.raises(UserError, match=r"0 labelled pictures .* too few for --folds 5"):
        source_of(images, folds=5)


def test_folds_divide_what_is_train_and_hold_the_rest_back(images, masks, tmp_path):
    sources = [source_of(images, masks, splits=as_json(tmp_path), folds=3, fold=fold) for fold in range(3)]
    train = set(OFFICIAL["train"])
    for source in sources:
        assert set(splits_of(source)) == train
        assert {(file, why) for file, why in source.passed_over if "splits.json" in why} == {
            (name, f"{split.capitalize()} of {tmp_path / 'splits.json'}")
            for split in ("val", "test")
            for name in OFFICIAL[split]
        }
        assert f"4 of Val and 6 of Test in {tmp_path / 'splits.json'} are in no fold" in source.notes
    tested = Counter(name for source in sources for name, split in splits_of(source).items() if split == "Test")
    assert tested == dict.fromkeys(train & set(LABELLED), 1)


def test_a_class_of_what_is_held_back_alone_is_one_in_every_fold(images, tmp_path):
    held = {*OFFICIAL["val"], *OFFICIAL["test"]}
    masks = {name: indices(seed, 4 if name in held else 3) for seed, name in enumerate(LABELLED)}
    splits = as_json(tmp_path)
    drawn = write_masks(tmp_path / "masks", masks)
    whole, fold = (source_of(images, drawn, splits=splits, **how) for how in ({}, {"folds": 3, "fold": 1}))
    assert len(fold.classes) == 4
    assert fold.classes == whole.classes


def test_a_val_that_becomes_test_says_what_becomes_of_val(images, masks, tmp_path):
    (tmp_path / "s.json").write_text(json.dumps({"train": NAMES[:10], "val": NAMES[10:]}))
    for ratio, more in ((0.2, ", and Val is drawn from train"), (0.0, "")):
        source = source_of(images, masks, splits=tmp_path / "s.json", val_ratio=ratio)
        assert f"{tmp_path / 's.json'} names no test: its val is Test{more}" in source.notes


def test_no_patient_lies_in_two_splits(images, masks, tags, tmp_path):
    for settings in ({}, {"folds": 3, "fold": 1}):
        source = source_of(images, masks, group_by="patient", tag_file=tags, **settings)
        held = {(sample.tags["patient"], sample.split) for sample in source.samples}
        assert len(held) == 5
        assert {split for _, split in held} == {"Train", "Val", "Test"}
    source = source_of(images, masks, group_by="camera", tag_file=tags)
    assert any("15 pictures have no camera" in note for note in source.notes)
    assert len({sample.split for sample in source.samples if sample.tags.get("camera")}) == 1
    with pytest.raises(
        UserError, match="--group_by patent: no picture has that tag; they have camera, folder, patient"
    ):
        source_of(images, masks, group_by="patent", tag_file=tags)
    (tmp_path / "s.json").write_text(json.dumps({"train": NAMES[:6], "test": NAMES[6:]}))
    with pytest.raises(UserError, match="group ben lies in Train and Test"):
        source_of(images, masks, group_by="folder", splits=tmp_path / "s.json")


def test_groups_that_leave_a_split_empty(images, masks, tmp_path):
    (tmp_path / "t.csv").write_text("file,site\n" + "".join(f"{name},{name < 'c'}\n" for name in NAMES))
    with pytest.raises(UserError, match="2 groups leave one of 3 splits empty"):
        source_of(images, masks, group_by="site", tag_file=tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("names", "settings", "held"),
    [(["a", "b"], {}, "picture"), (["p/a", "p/b", "q/c"], {"group_by": "folder"}, "folder")],
)
def test_a_train_that_leaves_nothing_for_val(tmp_path, names, settings, held):
    images = write_pictures(tmp_path / "images", names)
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"train": names[:-1], "test": names[-1:]}))
    told = rf"s\.json leaves Val to be drawn from train, which has one {held} alone: name pictures of val"
    with pytest.raises(UserError, match=told):
        source_of(images, splits=path, **settings)
    splits = splits_of(source_of(images, splits=path, val_ratio=0.0, **settings))
    assert Counter(splits.values()) == {"Train": len(names) - 1, "Test": 1}


def test_tags_of_pictures_are_their_folder_and_those_of_the_file(images, tags):
    by_name = {sample.name: dict(sample.tags) for sample in source_of(images, tag_file=tags).samples}
    assert by_name["ben/slice.0"] == {"folder": "ben", "patient": "ben", "camera": "x"}
    assert by_name["ben/slice.1"] == {"folder": "ben", "patient": "ben"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,patient\nann/slice.0,1\n", "has no column file"),
        ("file,patient\nann/slice.9,1\nann/slice.0,2\n", r"names pictures that are not there: ann/slice\.9: name them"),
        ("file,patient\nann/slice.0,1\nann/slice.0.jpg,2\n", r"names ann/slice\.0 twice"),
        ("file,patient\nann/slice.0,1,2\n", "line 2: 3 cells, the first line has 2"),
        (f"file,note\nann/slice.0,{'x' * 140_000}\n", "is no CSV: field larger than field limit"),
        ("file,a,a\n", "every column needs a name of its own"),
    ],
)
def test_tag_files_that_cannot_hold(images, tmp_path, text, message):
    (tmp_path / "tags.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        source_of(images, tag_file=tmp_path / "tags.csv")


def test_what_the_listing_notices(images, masks, tags):
    settings = {"tag_file": tags}
    before = source_of(images, masks, **settings).details["listing"]
    assert source_of(images, masks, **settings).details["listing"] == before
    tags.write_text(tags.read_text().replace("x", "y"))
    assert source_of(images, masks, **settings).details["listing"] != before
