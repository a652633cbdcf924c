"""Lists in the folder of a public data set win over its own division, whatever the data set."""

import json
import re
from dataclasses import replace

import pytest
from sample_layouts import make_isbi
from sample_pets import TEST, TRAINVAL, make_pets, report_of, run
from sample_sources import FORMS, config_of, names, pack, read, remove, samples

from core.errors import UserError
from data.manifest import SPLITS
from data.prepare_config import PrepareConfig
from data.sources.table import open_source


def drop_lists(root) -> None:
    """Remove the lists that a maker wrote, but those below ImageSets."""
    for path in [path for path in root.rglob("*.txt") if path.stem in ("train", "val", "test")]:
        if path.parent.name != "Segmentation":
            path.unlink()


def halved(labels, suffix: str = "") -> dict[str, list[str]]:
    """Lists that no official division is like: the last names are Train, the first Test."""
    labelled = [name for name in sorted(labels) if labels[name] is not None]
    return {"test": [f"{name}{suffix}" for name in labelled[:2]], "train": [f"{name}{suffix}" for name in labelled[2:]]}


def splits_of(source) -> dict[str, set[str]]:
    return {split: names(source, split) for split in SPLITS}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_lists_at_the_top_win(name, packed, tmp_path):
    form = FORMS[name]
    if packed and not form.archives:
        pytest.skip("comes as plain files")
    root = tmp_path / "data"
    labels = form.make(root)
    drop_lists(root)
    if packed:
        pack(root, tmp_path / "packed", form.archives)
        root = tmp_path / "packed"
    lists = halved(labels)
    for split, listed in lists.items():
        (root / f"{split}.txt").write_text("".join(f"{listed_name}.png\n" for listed_name in listed))
    source = read(form, root)
    found = splits_of(source)
    assert found["Test"] == set(lists["test"])
    assert found["Val"]
    assert found["Val"] < set(lists["train"])
    unlabelled = {listed for listed in labels if labels[listed] is None}
    assert found["Train"] | found["Val"] == set(lists["train"]) | unlabelled
    assert f"the splits are those of train.txt, test.txt in {root}" in source.notes
    for split in lists:
        (root / f"{split}.txt").unlink()
    (root / "split.json").write_text(json.dumps(lists))
    assert splits_of(read(form, root)) == found


def test_names_count_with_the_pictures_own_ending_and_slices_by_number(tmp_path):
    FORMS["cityscapes"].make(tmp_path / "city")
    listed = {
        "training": [{"image": f"./ulm/ulm_00000{n}_000019_leftImg8bit.png", "label": "x"} for n in (1, 2)],
        "validation": ["aachen_000001_000019.png"],
        "test": ["bonn_000001_000019"],
        "name": "mine",
        "numTraining": 2,
    }
    (tmp_path / "city" / "split.json").write_text(json.dumps(listed))
    source = read(FORMS["cityscapes"], tmp_path / "city")
    assert splits_of(source) == {
        "Train": {"ulm_000001_000019", "ulm_000002_000019"},
        "Val": {"aachen_000001_000019"},
        "Test": {"bonn_000001_000019"},
    }
    assert ("leftImg8bit/val/munster/munster_000001_000019_leftImg8bit.png", "in no list") in source.passed_over
    make_isbi(tmp_path / "isbi", numbers=range(3, 13))
    (tmp_path / "isbi" / "split.json").write_text(json.dumps({"train": [5, "7", "slice_08"], "val": [4], "test": [12]}))
    source = read(FORMS["isbi"], tmp_path / "isbi")
    assert splits_of(source) == {
        "Train": {"slice_05", "slice_07", "slice_08"},
        "Val": {"slice_04"},
        "Test": {"slice_12"},
    }
    assert ("train-volume.tif, page 0", "in no list") in source.passed_over


def test_pets_obey_lists_and_keep_what_is_unlabelled_for_phase_1(tmp_path):
    pets = make_pets(tmp_path / "pets")
    own = PrepareConfig(archives=pets, output_dir=tmp_path / "out", raw_dir=tmp_path / "raw", size=48)
    labelled = [name for name in TRAINVAL if int(name[-1]) % 2]
    lists = {"train": labelled[:8], "test": labelled[8:]}
    (pets / "split.json").write_text(json.dumps(lists))
    manifest = run(own)
    splits = {split: {record["name"] for record in manifest["images"] if record["split"] == split} for split in SPLITS}
    assert splits["Test"] == set(lists["test"])
    unlabelled = {name for name in TRAINVAL if not int(name[-1]) % 2}
    assert splits["Train"] | splits["Val"] == set(lists["train"]) | unlabelled
    assert not splits["Val"] & unlabelled
    assert {name[:-2] for name in splits["Val"]} <= {name[:-2] for name in lists["train"]}
    assert not splits["Train"] & set(TEST)
    assert (f"images/{TEST[0]}.jpg", "passed over", "in no list") in report_of(own)
    (pets / "split.json").unlink()
    with pytest.raises(UserError, match=r"was prepared before the lists in .* changed"):
        run(own)
    official = run(replace(own, output_dir=tmp_path / "official"))
    assert {record["name"] for record in official["images"] if record["split"] == "Test"} == set(TEST)
    assert run(replace(own, output_dir=tmp_path / "official")) == official


def test_val_is_test_where_the_lists_have_none(tmp_path):
    labels = FORMS["ade20k"].make(tmp_path / "data")
    lists = {"train": sorted(labels)[1:], "val": sorted(labels)[:1]}
    (tmp_path / "data" / "split.json").write_text(json.dumps(lists))
    source = read(FORMS["ade20k"], tmp_path / "data")
    assert names(source, "Test") == set(lists["val"])
    assert names(source, "Val")
    assert any("names no test: its val is Test, and Val is drawn from train" in note for note in source.notes)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"train": ["21_training", "99_training"], "test": ["01_test"]}, "names pictures that are not there: 99_train"),
        ({"train": ["21_training", "21_training.tif"], "test": ["01_test"]}, r"names 21_training twice \(Train and Tr"),
        ({"train": ["21_training"], "test": ["21_training", "01_test"]}, r"names 21_training twice \(Train and Test\)"),
        ({"train": ["21_training"]}, "names pictures of Train: name train and test too"),
        ({"train": ["21_training"], "holdout": ["01_test"]}, "'holdout' is no split"),
        ({"train": "21_training"}, "'train' is no list of names"),
        ([], "holds no lists of names"),
    ],
)
def test_lists_that_cannot_hold(tmp_path, lists, message):
    FORMS["drive"].make(tmp_path / "data")
    (tmp_path / "data" / "split.json").write_text(json.dumps(lists))
    with pytest.raises(UserError, match=f"^{re.escape(str(tmp_path))}.*{message}") as error:
        read(FORMS["drive"], tmp_path / "data")
    assert "\n" not in str(error.value)


def test_texts_that_cannot_hold(tmp_path):
    root = tmp_path / "data"
    FORMS["drive"].make(root)
    (root / "train.txt").write_text("21_training\n22_training\n")
    (root / "test.txt").write_text("01_test\n22_training.tif\n")
    with pytest.raises(UserError, match=r"22_training stands in train\.txt and in test\.txt"):
        read(FORMS["drive"], root)
    (root / "test.txt").write_text("01_test\ngone\n")
    with pytest.raises(UserError, match=r"names pictures that are not there: gone: name them"):
        read(FORMS["drive"], root)
    (root / "test.txt").write_text("01_test\n")
    (root / "split.json").write_text("{")
    with pytest.raises(UserError, match=r"holds split\.json and train\.txt: leave one"):
        read(FORMS["drive"], root)
    remove(root / "train.txt")
    remove(root / "test.txt")
    with pytest.raises(UserError, match=r"split\.json is no JSON"):
        read(FORMS["drive"], root)


def test_published_lists_may_name_what_a_mirror_lacks(tmp_path):
    FORMS["camvid"].make(tmp_path / "data")
    (tmp_path / "data" / "CamVid" / "test" / "Seq05VD_6.png").unlink()
    source = open_source(config_of(FORMS["camvid"], tmp_path / "data"))
    assert ("Seq05VD_6", "listed, but there is no such picture") in source.passed_over
    assert "Seq05VD_5" in samples(source)
