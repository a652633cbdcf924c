"""Weights: a header of one schema, a digest over header and tensors, and one line for everything that is wrong."""

import json
import os
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from sample_header import sample_header

from core.errors import UserError
from core.headers.header import HEADER_KEY, header_content, read_header
from core.weights import build, load_strictly, load_weights, save_weights
from data.pretext.hiding import Pretext
from reconstruction.network import Autoencoder
from transfer_learning.network import SegmentationUNet
from transfer_learning.predict import main as predict

NETWORKS = {"reconstruction": Autoencoder, "transfer_learning": SegmentationUNet}
TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(2), "none": torch.zeros(0)}


def write(path: Path, phase: str = "reconstruction", **fields) -> Path:
    """Write weights as today."""
    header = sample_header(phase, **fields)
    save_weights(path, NETWORKS[phase](**header["architecture"]).state_dict(), header)
    return path


def rewrite(path: Path, change=lambda content: None, tensors=None, keep_digest: bool = False) -> None:
    """Write weights anew as a stranger would; without a digest they are of format 1, as weights of before."""
    content, (kept, _) = header_content(path), load_weights(path)
    if not keep_digest:
        content.pop("sha256")
        content["format_version"] = 1
    change(content)
    save_file(tensors or kept, path, metadata={HEADER_KEY: json.dumps(content)})


def load(path: Path, phase: str = "reconstruction") -> torch.nn.Module:
    tensors, header = load_weights(path)
    return build(NETWORKS[phase], tensors, header, str(path))


def refused(path: Path, message: str, phase: str = "reconstruction") -> None:
    with pytest.raises(UserError, match=message) as caught:
        load(path, phase)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_equal_weights_have_equal_bytes_and_come_back(tmp_path):
    for name in ("one", "two"):
        save_weights(tmp_path / name, dict(reversed(TENSORS.items()) if name == "two" else TENSORS), sample_header())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    tensors, header = load_weights(tmp_path / "one")
    assert all(torch.equal(tensors[name], tensor) for name, tensor in TENSORS.items())
    assert (header.run.seed, header.network.width, header.epoch) == (3, 2, 2)


@pytest.mark.parametrize("phase", NETWORKS)
def test_no_altered_bit_and_no_cut_passes(phase, tmp_path):
    path = write(tmp_path / "weights", phase)
    content, draw = path.read_bytes(), random.Random(0)
    length = 8 + int.from_bytes(content[:8], "little")
    for number in range(36):
        altered = bytearray(content)
        altered[draw.randrange(length if number % 2 else len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(altered if number % 6 else content[: draw.randrange(len(content))])
        refused(path, ": ", phase)


def test_weights_of_before_have_no_digest_and_other_names(tmp_path):
    path = write(tmp_path / "weights", "transfer_learning")

    def as_before(content):
        del content["class_set"]
        content |= {"class_names": ["background", "cat", "dog"], "size": 40}

    rewrite(path, as_before)
    assert load(path, "transfer_learning").in_channels == 3
    header = read_header(path)
    assert (header.classes.names, header.classes.ignored_is) == (("background", "cat", "dog"), "border")
    assert (header.size, header.sha256) == ((40, 40), None)


@pytest.mark.parametrize("change", [lambda c: c.pop("sha256"), lambda c: c.update(sha256=None)])
@pytest.mark.parametrize(("version", "fields"), [(2, {}), (1, {"pictures_seen": "AAAAAAAAAAA="})])
def test_a_digest_that_went_is_noticed_where_there_always_was_one(tmp_path, change, version, fields):
    path = write(tmp_path / "weights", **fields)
    rewrite(path, lambda content: (change(content), content.update(format_version=version)), keep_digest=True)
    refused(path, "lacks the digest that it was written with.*train again")
    with pytest.raises(UserError, match="lacks the digest"):
        read_header(path)


@pytest.mark.parametrize("name", ["epoch", "sha256", "__metadata__", HEADER_KEY, "a"])
def test_a_name_that_stands_twice_in_a_header_is_refused(tmp_path, name):
    path = tmp_path / "weights"
    save_weights(path, {"a": torch.zeros(1)}, sample_header())
    content = path.read_bytes()
    length = 8 + int.from_bytes(content[:8], "little")
    outer = content[8:length].decode()
    within = json.loads(outer)["__metadata__"][HEADER_KEY]
    if name in json.loads(within):
        again = json.dumps(json.loads(within)[name])
        twice = outer.replace(json.dumps(within), json.dumps(f'{{"{name}": {again}, {within[1:]}'))
    elif name == HEADER_KEY:
        twice = outer.replace('"__metadata__":{', f'"__metadata__":{{"{HEADER_KEY}":"{{}}",')
    else:
        twice = f'{{"{name}":{json.dumps(json.loads(outer)[name])},{outer[1:]}'
    path.write_bytes(len(twice).to_bytes(8, "little") + twice.encode() + content[length:])
    # One of the names safetensors notices itself.
    refused(path, "is not a whole safetensors file" if name == "__metadata__" else f"'{name}' stands twice")


def test_a_header_of_other_tensors_is_noticed(tmp_path):
    path = write(tmp_path / "weights")
    tensors = {name: torch.zeros_like(tensor) for name, tensor in load_weights(path)[0].items()}
    rewrite(path, tensors=tensors, keep_digest=True)
    refused(path, "altered after it was written")
    rewrite(path := write(tmp_path / "other"), lambda content: content.update(epoch=3), keep_digest=True)
    refused(path, "altered after it was written")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_by_name(tmp_path, value):
    path = write(tmp_path / "weights")
    tensors, _ = load_weights(path)
    tensors["head.bias"][1] = value
    rewrite(path, tensors=tensors, keep_digest=True)
    refused(path, "'head.bias' holds values that are not finite")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool])
def test_other_types_are_refused_by_name(tmp_path, kind):
    path = write(tmp_path / "weights")
    tensors, _ = load_weights(path)
    rewrite(path, tensors={**tensors, "head.bias": tensors["head.bias"].to(kind)})
    refused(path, f"'head.bias' holds {str(kind).removeprefix('torch.')}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *((lambda c, name=name: c.pop(name), f"{name}: Field required") for name in ("phase", "config", "epoch")),
        (lambda c: c["config"].pop("seed"), "config: seed: Field required"),
        (lambda c: c["config"].update(seed="42"), "config: seed: "),
        (lambda c: c.update(architecture=None), "architecture: "),
        *(
            (lambda c, w=w: c["architecture"].update(width=w), "width: ")
            for w in (-1, 0, 1.5, "2", True, 10**9, 10**30)
        ),
        (lambda c: c["architecture"].update(in_channels=2), "in_channels"),
        (lambda c: c["architecture"].update(encoder_dropout=[0.0]), "encoder_dropout"),
        (lambda c: c["architecture"].update(encoder_dropout=[2.0] * 6), "encoder_dropout"),
        (lambda c: c["architecture"].update(normalisation="mine"), "normalisation"),
        (lambda c: c["architecture"].update(decoder="fpn"), "decoder"),
        (lambda c: c["architecture"].update(banana=1), "setting 'banana', which is not known"),
        (lambda c: c["architecture"].update(num_classes=4), "class_set names 3 classes, the network tells 4 apart"),
        (lambda c: c["class_set"].update(names=["a", "b"]), "class_set names 2 classes, the network tells 3 apart"),
        (lambda c: c["class_set"].update(names="abc"), "class_set"),
        *((lambda c, b=b: c["class_set"].update(background=b), "class_set: background") for b in (True, 1.0, 7)),
        (lambda c: c.pop("class_set"), "names no classes"),
        *((lambda c, s=s: c.update(size=s), "size") for s in ([40], [0, 40], [40, 10**9], [40, 40, 40], "40", True)),
        (lambda c: c.update(value_range=[5, 5]), "value_range: 5.0 is not below 5.0"),
        (lambda c: c.update(banana=1), "banana"),
    ],
)
def test_a_header_says_what_it_must(tmp_path, change, message):
    path = write(tmp_path / "weights", "transfer_learning")
    rewrite(path, change)
    refused(path, message, "transfer_learning")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04" + bytes(50), r"torch\.save"),
        (b"\x80\x02}q\x00.", "pickle"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer.*git lfs pull"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"<!doctype html>", "web page"),
        (b"", "is empty"),
        (b"these are no weights", "not a whole safetensors file"),
        ((10**15).to_bytes(8, "little") + b"{}", "not a whole safetensors file"),
    ],
)
def test_what_is_plainly_something_else_is_named(tmp_path, content, message):
    (tmp_path / "weights").write_bytes(content)
    refused(tmp_path / "weights", message)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("pipe", "no weights at"), ("nowhere", "no weights at"), (".", "is a folder")):
        with pytest.raises(UserError, match=message):
            load_weights(tmp_path / name)


@pytest.mark.parametrize("text", ["[" * 5000, '{"format_version": 1, "epoch": NaN}', '{"format_version": 3}', '"x"'])
def test_a_header_that_is_no_header(tmp_path, text):
    save_file(TENSORS, tmp_path / "weights", metadata={HEADER_KEY: text})
    with pytest.raises(UserError, match="weights"):
        load_weights(tmp_path / "weights")


def test_tensors_of_another_type_than_the_networks_are_refused():
    network = torch.nn.BatchNorm2d(2)
    tensors = {**network.state_dict(), "num_batches_tracked": torch.tensor(1.0)}
    with pytest.raises(UserError, match="'num_batches_tracked' holds float32, the network needs int64"):
        load_strictly(network, tensors, "w")


@pytest.mark.parametrize("wrong", [{"mask_patch": 0}, {"pretext": "paint"}, {"noise_sigma": "1"}, {"mask_ratio": True}])
def test_a_pretext_task_that_cannot_be_is_refused(wrong):
    with pytest.raises(UserError, match=f"w: its pretext task cannot be read \\({next(iter(wrong))}"):
        Pretext.of({"lr": 1.0, **wrong}, "w")


def test_nothing_of_an_earlier_prediction_is_lost_to_broken_weights(tmp_path, capsys):
    path = write(tmp_path / "weights", "transfer_learning", size=[40, 40], resize_mode="letterbox")
    tensors, _ = load_weights(path)
    rewrite(path, tensors={**tensors, "head.bias": tensors["head.bias"] * torch.nan})
    (tmp_path / "out").mkdir()
    earlier = '{"num_pictures": 0, "pictures": []}'
    (tmp_path / "out/predictions.json").write_text(earlier)
    (tmp_path / "a.png").write_bytes(b"")
    flags = ["--model_path", str(path), "--input", str(tmp_path / "a.png"), "--output_dir", str(tmp_path / "out")]
    assert predict([*flags, "--device", "cpu"]) == 2
    assert "'head.bias' holds values that are not finite" in capsys.readouterr().err
    assert (tmp_path / "out/predictions.json").read_text() == earlier
