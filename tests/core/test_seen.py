"""Weights keep which pictures they were trained on, and none of these is scored without a word."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from own_pictures import indices, write_masks, write_pictures
from pydantic import TypeAdapter
from safetensors import safe_open

from core.headers.header import Header, read_header
from core.headers.seen import all_named, named, of_contents, of_text, text_of, united
from core.weights import load_weights, save_weights
from data.opened import open_data
from data.prepare import main as prepare
from reconstruction.evaluate import main as evaluate_autoencoder
from reconstruction.train import main as train_autoencoder
from transfer_learning.evaluate import main as evaluate
from transfer_learning.train import main as train

SMALL = ["--width", "2", "--batch_size", "4", "--max_steps", "1", "--val_every", "1"]
TRAINING = [*SMALL, "--device", "cpu", "--amp", "off"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """One's own twenty pictures, prepared three times: `a`, other splits `b`, and `a` at another size."""
    root = tmp_path_factory.mktemp("seen")
    names = [f"p{number}" for number in range(20)]
    write_pictures(root / "images", names)
    write_masks(root / "masks", {name: indices(seed, 3) for seed, name in enumerate(names)})
    for name, flags in {"a": "--size 40", "b": "--size 40 --seed 7", "larger": "--size 48"}.items():
        source = ["--dataset", "folder", "--images", str(root / "images"), "--masks", str(root / "masks")]
        assert prepare([*source, *flags.split(), "--output_dir", str(root / name)]) == 0
    pretext = ["--perceptual_weight", "0", "--ssim_weight", "0", "--data_dir", str(root / "a")]
    assert train_autoencoder([*TRAINING, *pretext, "--output_dir", str(root / "ae")]) == 0
    return root


def flags_of(data: Path, name: str, output: Path, *more: str) -> list[str]:
    encoder = ["--pretrained_encoder", str(data / "ae/best_model.safetensors")]
    return [*TRAINING, *encoder, "--data_dir", str(data / name), "--output_dir", str(output), *more]


def split_of(folder: Path) -> dict[str, set[str]]:
    return {split: set(names) for split, names in json.loads((folder / "splits.json").read_text()).items()}


def test_weights_name_the_pictures_they_saw_beside_the_network(data):
    path = data / "ae/best_model.safetensors"
    train = open_data(data / "a").split("Train")
    np.testing.assert_array_equal(read_header(path).seen, np.sort(train.contents))
    assert len(set(train.contents.tolist())) == len(train.names) == 13
    with safe_open(path, framework="np") as file:  # what others read of them is the network alone
        assert set(file.keys()) == set(load_weights(path)[0])
        assert not [name for name in file.keys() if "seen" in name]  # noqa: SIM118 - not a dict


@pytest.mark.parametrize("text", ["AAAA", "é", "*", "AAAAAAAAAA=", 7])
def test_what_is_no_list_of_pictures_is_refused(text):
    with pytest.raises(ValueError, match="8 bytes a picture" if isinstance(text, str) else "string"):
        TypeAdapter(Header.__annotations__["pictures_seen"]).validate_python(text)
    seen = np.array([-(2**63), -1, 5], np.int64)
    np.testing.assert_array_equal(of_text(text_of(seen)), seen)


def test_another_division_is_refused_and_another_size_of_the_same_is_not(data, tmp_path, capsys):
    a, b = split_of(data / "a"), split_of(data / "b")
    held = {split: len(a["Train"] & b[split]) for split in ("Val", "Test")}
    assert min(held.values()) > 0
    assert train(flags_of(data, "b", tmp_path / "refused")) == 2
    error = capsys.readouterr().err
    assert f"holds out ({held['Val']} of Val and {held['Test']} of Test)" in error
    assert "--allow_seen" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "refused").exists()
    assert train(flags_of(data, "larger", tmp_path / "larger")) == 0
    assert "other data than these (source, size or division, another fold perhaps): none" in capsys.readouterr().out


def test_what_phase_1_saw_goes_on_into_the_results(data, tmp_path, capsys):
    assert train(flags_of(data, "b", tmp_path / "run", "--allow_seen")) == 0
    weights = tmp_path / "run/best_model.safetensors"
    both = [open_data(data / name).split("Train").contents for name in "ab"]
    np.testing.assert_array_equal(read_header(weights).seen, united(*both))
    score = ["--model_path", str(weights), "--data_dir", str(data / "b"), "--device", "cpu", "--no_figures"]
    assert evaluate([*score, "--output_dir", str(tmp_path / "refused")]) == 2
    assert "of Test), so scores on them would flatter" in capsys.readouterr().err
    assert not (tmp_path / "refused/evaluation_results.json").exists()
    assert evaluate([*score, "--output_dir", str(tmp_path / "out"), "--allow_seen"]) == 0
    origin = json.loads((tmp_path / "out/evaluation_results.json").read_text())["provenance"]
    splits = split_of(data / "a"), split_of(data / "b")
    assert origin["pictures_seen"] == len(splits[0]["Train"] & splits[1]["Test"])
    assert json.loads((tmp_path / "run/training_config.json").read_text())["settings"]["allow_seen"] is True


@pytest.mark.parametrize(("name", "code"), [("a", 0), ("larger", 0), ("b", 2)])
def test_an_autoencoder_is_scored_on_what_it_did_not_see(data, tmp_path, name, code):
    score = ["--model_path", str(data / "ae/best_model.safetensors"), "--data_dir", str(data / name), "--device", "cpu"]
    assert evaluate_autoencoder([*score, "--visualize_samples", "0", "--output_dir", str(tmp_path / "out")]) == code
    if code == 0:
        content = json.loads((tmp_path / "out/reconstruction_metrics.json").read_text())
        assert content["provenance"]["pictures_seen"] == 0


def test_weights_that_begin_with_ones_of_before_do_not_claim_to_know_all(data, tmp_path, capsys):
    tensors, header = load_weights(data / "ae/best_model.safetensors")
    content = {name: value for name, value in asdict(header).items() if name not in ("pictures_seen", "sha256")}
    save_weights(tmp_path / "old.safetensors", tensors, {**content, "class_set": None})
    old = ["--pretrained_encoder", str(tmp_path / "old.safetensors"), "--data_dir", str(data / "b")]
    assert train([*TRAINING, *old, "--output_dir", str(tmp_path / "run")]) == 0
    seen = read_header(tmp_path / "run/best_model.safetensors").seen
    assert not all_named(seen)
    np.testing.assert_array_equal(named(seen), np.sort(open_data(data / "b").split("Train").contents))
    score = ["--model_path", str(tmp_path / "run/best_model.safetensors"), "--device", "cpu", "--no_figures"]
    assert evaluate([*score, "--data_dir", str(data / "b"), "--output_dir", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out/evaluation_results.json").read_text())["provenance"]["pictures_seen"] is None


def test_pictures_without_a_content_and_copies_in_train_do_not_count(data):
    assert united(of_contents(["", "00000000000000ff", "ffffffffffffffff", "00000000000000ff"])).tolist() == [
        -1,
        0,
        255,
    ]
    opened = open_data(data / "a")
    train, test = opened.splits("Train", "Test")
    assert opened.require_unseen(Path("w"), train.contents, False, "Val", "Test") == {"Val": 0, "Test": 0}
    opened._contents["Train"] = np.append(opened._contents["Train"], test.contents[0])
    seen = united(train.contents, test.contents[:1])
    assert opened.require_unseen(Path("w"), seen, False, "Test") == {"Test": 0}
