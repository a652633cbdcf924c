"""Pools: which pictures of Train are learned from without masks."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ablation_grid import grid, run
from hypothesis import given
from hypothesis import strategies as st
from own_pictures import indices, write_masks, write_pictures
from PIL import Image
from sample_pets import picture

from core.errors import UserError
from core.headers.header import read_header
from data.opened import open_data
from data.pool import pool, require_pool
from data.prepare import main as prepare
from reconstruction.config import ReconstructionConfig
from reconstruction.train import main as train
from transfer_learning.train import main as segment

BREEDS = ("beagle", "Bengal", "pug", "sphynx")


def split_of(breeds, labelled, **tags):
    """A split as far as a pool looks at it; by default the breed is its only tag."""
    rows = np.where(labelled, np.cumsum(labelled) - 1, -1)
    names = [f"picture{number}" for number in range(len(breeds))]
    tags = tags or {"breed": list(breeds)}
    return SimpleNamespace(names=names, name="Train", data_dir=Path("data/pets"), label_rows=rows, tags=tags)


@given(
    st.lists(st.tuples(st.sampled_from(BREEDS), st.booleans()), min_size=1, max_size=12),
    st.sets(st.sampled_from(BREEDS), min_size=1).map(sorted),
    st.sampled_from(["all", "unlabelled", "breed=", "breed!=", "breed=labelled", "breed!=labelled"]),
    st.booleans(),
)
def test_pools_hold_what_their_words_say(pictures, asked, kind, only_unlabelled):
    split = split_of(*zip(*pictures, strict=True))
    known = {breed for breed, labelled in pictures if labelled} if kind.endswith("labelled") else {*asked}
    text = kind + ",".join(asked) if kind.endswith("=") else kind
    expected = []
    for number, (breed, labelled) in enumerate(pictures):
        takes = {"all": True, "unlabelled": not labelled}.get(kind, (breed in known) != ("!=" in kind))
        if takes and not (only_unlabelled and "=" in kind and labelled):
            expected.append(number)
    if only_unlabelled and "=" in kind:
        text = f"unlabelled+{text}" if len(pictures) % 2 else f"{text}+unlabelled"
    there = {breed for breed, _ in pictures}
    if expected and ("=" not in kind or (known and known <= there)):
        assert pool(split, text).tolist() == expected
    else:
        with pytest.raises(UserError):
            pool(split, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("breeds=pug", "'breeds=pug', but its pictures have no tag 'breeds': there are breed, camera"),
        ("breeds!=pug", "have no tag 'breeds': there"),
        ("breed=beegle", "no picture of Train has the breed 'beegle'; did you mean beagle?"),
        ("breed=pug,tom", "has the breed 'tom': there are Bengal, beagle, pug"),
        ("breed!=Bengal,beagle,pug", "no picture of Train is in 'breed!=Bengal,beagle,pug'"),
        ("unlabelled+breed=beagle", "no picture of Train is in 'unlabelled+breed=beagle'"),
        ("camera=left", "needs the camera of every picture of Train; 2 have none (first picture1)"),
        ("unlabeled", "'unlabeled' names no pictures; did you mean unlabelled?"),
        ("breed", "'breed' names no pictures: write all, unlabelled, TAG=value,value"),
    ],
)
def test_what_is_not_there_is_named(text, message):
    tags = {"breed": ["beagle", "Bengal", "pug", "pug"], "camera": ["left", None, "right", None]}
    split = split_of(tags["breed"], [True, False, False, True], **tags)
    with pytest.raises(UserError) as error:
        pool(split, text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_without_tags_masks_or_pictures_without_one():
    with pytest.raises(UserError, match="no tag 'breed': they have none"):
        pool(SimpleNamespace(**{**vars(split_of(["pug"], [True])), "tags": {}}), "breed=pug")
    with pytest.raises(UserError, match="every picture of Train has a mask: leave unlabelled out"):
        pool(split_of(["pug"], [True]), "unlabelled")
    with pytest.raises(UserError, match="no picture of Train has a mask: name values"):
        pool(split_of(["pug"], [False]), "breed!=labelled")


def test_names_may_hold_the_signs_and_a_value_be_called_labelled():
    tags = {"=tag": ["a", "b=c", "d"], "a=b": ["1", "2", "2"], "state": ["labelled", "new", "new"]}
    split = split_of("abc", [False, True, True], **tags)
    assert pool(split, "=tag=b=c, d").tolist() == [1, 2]
    assert pool(split, "a=b!=1").tolist() == [1, 2]
    assert pool(split, "state=labelled").tolist() == [0]


@pytest.mark.parametrize(
    "text", ["", "breed=", "breed!=,", "=pug", "!=pug", "unlabelled+", "unlabelled+all", "labelled"]
)
def test_what_is_no_pool_is_refused_before_data_are_read(text):
    with pytest.raises(UserError, match="names no pictures"):
        require_pool(text)
    with pytest.raises(UserError, match="names no pictures"):
        ReconstructionConfig(pictures=text)


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """Twelve pictures, half of them with a mask, divided by hand: p3 and p5 of Train are in Val and Test as well."""
    root = tmp_path_factory.mktemp("copied")
    names = [f"p{number}" for number in range(12)]
    write_pictures(root / "images", names, ".png")
    for place, number in (("v", 3), ("t", 5)):
        Image.fromarray(picture(number, 40, 60)).save(root / "images" / f"{place}.png")
    write_masks(root / "masks", {name: indices(seed, 3) for seed, name in enumerate([*names[:6], "v", "t"])})
    splits = {"train": names[:10], "val": ["p10", "v"], "test": ["p11", "t"]}
    (root / "splits.json").write_text(json.dumps(splits))
    rows = [f"{name},{'far' if name in ('p3', 'p5') else 'near'}" for name in (*names, "v", "t")]
    (root / "tags.csv").write_text("\n".join(["file,camera", *rows]))
    places = {"images": "images", "masks": "masks", "splits": "splits.json", "tag_file": "tags.csv"}
    words = [word for flag, place in places.items() for word in (f"--{flag}", str(root / place))]
    common = ["--dataset", "folder", "--size", "40", "--workers", "1"]
    assert prepare([*common, *words, "--output_dir", str(root / "data")]) == 0
    return root / "data"


def phase_1(data: Path, output: Path, *more: str) -> int:
    small = ["--width", "2", "--batch_size", "4", "--max_steps", "1", "--val_every", "1", "--device", "cpu"]
    pixels = ["--amp", "off", "--perceptual_weight", "0", "--ssim_weight", "0"]
    return train([*small, *pixels, "--data_dir", str(data), "--output_dir", str(output), *more])


def test_a_pool_with_a_picture_of_val_or_test_is_refused(copied, tmp_path, capsys):
    """A preparation by one's own splits reports copies and lets them lie."""
    report = json.loads((copied / "prepare_report.json").read_text())
    assert report["counts"] == {"copy in another split": 2}
    for text, name, split in (("all", "p3", "Val"), ("camera=far", "p3", "Val")):
        assert phase_1(copied, tmp_path / "refused", "--pictures", text) == 2
        error = capsys.readouterr().err
        assert f"{name} of Train is the same picture as one of {split} (1 are)" in error
        assert error.count("\n") == 1
        assert not (tmp_path / "refused").exists()
    assert phase_1(copied, tmp_path / "allowed", "--pictures", "camera=far", "--allow_seen") == 0
    data = open_data(copied)
    split = data.split("Train")
    with pytest.raises(UserError, match="p5 of Train is the same picture as one of Test"):
        data.require_apart(split, np.array([split.names.index("p5")]), False)


def test_phase_2_refuses_such_a_pool_too(copied, tmp_path, capsys):
    words = ["--data_dir", str(copied), "--output_dir", str(tmp_path / "run"), "--unlabelled", "consistency"]
    assert segment([*words, "--width", "2", "--unlabelled_pictures", "camera=far"]) == 2
    error = capsys.readouterr().err
    assert "p3 of Train is the same picture as one of Val (1 are)" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("part", "name", "settings"),
    [
        ("pretraining", "denoise", {"pictures": "camera=far"}),
        ("variants", "taught", {"unlabelled": "consistency", "control": True}),
    ],
)
def test_a_grid_refuses_such_a_pool_before_anything_trains(copied, tmp_path, here, capsys, part, name, settings):
    content = grid(seeds=[1], fractions=[1.0], tuned_at=[1.0])
    content["pretraining_common"] |= {"pictures": "camera=near"}
    content[part][name] = {**content[part].get(name, {}), **settings}
    assert run(tmp_path, copied, content) == 2
    error = capsys.readouterr().err
    assert f"ablation.{part}.{name}: " in error
    assert "p3 of Train is the same picture as one of Val" in error
    assert error.count("\n") == 1
    assert here == []


def test_a_pool_without_them_is_learned_from_and_its_weights_know_no_others(copied, tmp_path, capsys):
    assert phase_1(copied, tmp_path / "run", "--pictures", "camera=near") == 0
    assert "8 (camera=near) of 10 training pictures, 2 for validation" in capsys.readouterr().out
    split = open_data(copied).split("Train")
    near = [index for index, name in enumerate(split.names) if name not in ("p3", "p5")]
    seen = read_header(tmp_path / "run/best_model.safetensors").seen
    np.testing.assert_array_equal(seen, np.sort(split.contents[near]))
    assert phase_1(copied, tmp_path / "unlabelled", "--pictures", "unlabelled+camera=near") == 0
    assert "4 (unlabelled+camera=near) of 10 training pictures" in capsys.readouterr().out
