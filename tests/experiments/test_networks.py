"""`networks`: one table of an ablation's networks, counts that others counted, memory that follows the batch."""

import dataclasses
import json
from pathlib import Path

import pytest
import ready_processes
import torch
import yaml

from core.machine.memory import give_back_freed_memory
from core.machine.peak import require_peaks
from core.sides import sides_of
from experiments import networks as module
from experiments.architectures.at_work import measured_as
from experiments.architectures.drawn import Pictures, drawn_split
from experiments.architectures.measuring import peak
from experiments.architectures.table import COUNTED, MEASURED
from experiments.networks import main
from transfer_learning.config import SegmentationConfig
from transfer_learning.describe import DescribeConfig
from transfer_learning.description import described

CPU = torch.device("cpu")
SIZE = "48x64"
COMMON = {"width": 2, "batch_size": 2, "max_steps": 15, "val_every": 5, "amp": "off", "train_crop": "40x48"}
VARIANTS = {
    "unet": {"title": "U-Net"},
    # What training alone has, and what the grid has before it trains: neither is looked for.
    "fcn": {"title": "FCN | 8s", "decoder": "fcn", "pretraining": "pixels", "freeze": 2},
    "scales": {"title": "Scales", "decoder": "fpn", "control": True, "train_scales": "1,1.5", "hard_examples": 0.5},
}
ABLATION = {
    "baseline": "unet",
    "common": COMMON,
    "pretraining": {"pixels": {"max_steps": 5, "val_every": 5, "perceptual_weight": 0}},
    "variants": VARIANTS,
}


@pytest.fixture
def own(tmp_path) -> Path:
    """A file of one's own."""
    path = tmp_path / "own.yaml"
    ablation = {**ABLATION, "pretraining_common": {"width": 2}}
    path.write_text(
        yaml.safe_dump({"data": {"dataset": "shapes", "size": SIZE}, "ablation": ablation}, sort_keys=False)
    )
    return path


@pytest.fixture
def usual_memory():
    """What a measurement asks of the allocator ends with the test; other tests would be slow."""
    give_back_freed_memory()
    yield
    give_back_freed_memory()


def cells(text: str) -> list[list[str]]:
    """Return the head and the rows of the table in a Markdown text."""
    lines = [line for line in text.replace("\\|", "/").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]


def test_counts_are_those_of_the_networks_alone(own, capsys):
    assert main([str(own), "--num_classes", "5"]) == 0
    head, *rows = cells(capsys.readouterr().out)
    assert head == ["network", *COUNTED]
    assert [row[0] for row in rows] == ["U-Net", "FCN / 8s", "Scales"]
    for row, decoder in zip(rows, ("unet", "fcn", "fpn"), strict=True):
        config = DescribeConfig(width=2, num_classes=5, decoder=decoder)
        alone = described(config.arguments(), sides_of(SIZE))
        assert row[1:] == [
            f"{sum(alone.parameters.values()):,}",
            f"{alone.multiply_adds / 1e9:.3f}",
            f"{alone.bytes_on_disk / 1e6:.1f}",
        ]


def test_parameters_are_those_counted_by_hand(own, tmp_path, capsys):
    assert main([str(own), "--num_classes", "5", "--variants", "unet", "--output_dir", str(tmp_path / "out")]) == 0
    content = json.loads((tmp_path / "out/networks.json").read_text())
    (network,) = content["networks"]
    features = [2, 4, 8, 16, 32, 32]

    def stage(of: int, to: int) -> int:  # two 3x3 convolutions with bias, each with a norm's weight and bias
        return (9 * of * to + to) + (9 * to * to + to) + 2 * 2 * to

    encoder = sum(map(stage, [3, *features], features))
    decoder = sum(stage(deep + skip, skip) for deep, skip in zip(features[:0:-1], features[-2::-1], strict=True))
    assert network["parameters"] == {"encoder": encoder, "decoder": decoder, "head": 2 * 5 + 5}
    assert network["num_parameters"] * 4 <= network["bytes_on_disk"] < network["num_parameters"] * 4 + 100
    assert content["measured"] is None
    assert main([str(own), "--num_classes", "5", "--variants", "unet", "--output_dir", str(tmp_path / "out")]) == 0
    assert "nothing changed since: nothing to do" in capsys.readouterr().out


def test_prepared_data_say_size_and_classes(own, pets, capsys):
    assert main([str(own), "--data_dir", str(pets), "--variants", "fcn", "--size", "64"]) == 0
    out, errors = capsys.readouterr()
    assert "- A picture of 40 px, 3 channels, 3 classes." in out
    assert "note: without effect: --size with --data_dir" in errors


def test_measured_all_stand_in_one_table(own, tmp_path, capsys, monkeypatch):
    from experiments.architectures import measuring

    asked = []
    monkeypatch.setattr(measuring, "_in_own_process", lambda *given: asked.append((given[0], given[3])) or 12.5)
    flags = ["--num_classes", "5", "--measure", "--rounds", "2", "--device", "cpu"]
    assert main([str(own), *flags, "--output_dir", str(tmp_path / "out")]) == 0
    content = json.loads((tmp_path / "out/networks.json").read_text())
    text, errors = (tmp_path / "out/networks.md").read_text(), capsys.readouterr().err
    head, *rows = cells(text)
    assert head == ["network", *COUNTED, *MEASURED]
    assert asked == [(name, work) for name in VARIANTS for work in ("forward", "step")]
    for row, network in zip(rows, content["networks"], strict=True):
        for cell, work in zip(row[4:6], ("forward", "step"), strict=True):
            speed = network["measured"][work]["images_per_second"]
            assert 0 < speed["min"] <= speed["median"] <= speed["max"]
            assert speed["repeats"] == 2
            assert cell == f"{speed['median']:.3g} ({speed['min']:.3g} to {speed['max']:.3g})"
        assert row[6:] == ["12", "12"]
    assert "steps of 2 windows of 40x48 px" in text
    assert "amp off" in text
    assert "measuring speed: round 2 of 2" in errors
    assert "measuring memory: scales, training step (6 of 6)" in errors


@pytest.mark.all
def test_a_process_of_its_own_finds_what_a_command_writes(own, tmp_path):
    flags = ["--num_classes", "5", "--measure", "--rounds", "1", "--variants", "unet", "--device", "cpu"]
    assert main([str(own), *flags, "--output_dir", str(tmp_path / "out")]) == 0
    (network,) = json.loads((tmp_path / "out/networks.json").read_text())["networks"]
    forward, step = (network["measured"][work]["peak_mebibytes"] for work in ("forward", "step"))
    assert 0 < forward < step


def test_the_peak_grows_with_the_batch_and_a_step_holds_more(usual_memory):
    config = measured_as(SegmentationConfig(width=4, batch_size=2, amp="off", flip=0.0, blur=0.0), "cpu")
    pictures = Pictures((96, 96), 3, 3)
    few, many = (
        {work: peak(dataclasses.replace(config, batch_size=size), pictures, work, 1) for work in ("forward", "step")}
        for size in (2, 16)
    )
    channel = 14 * 96 * 96 * 4 / 2**20  # MiB, of the further pictures
    grown = {work: many[work] - few[work] for work in ("forward", "step")}
    # Beside the pictures what the skip at full size holds while the decoder works, and what it joins that with.
    assert grown["forward"] > (3 + 4 + 8) * channel
    # For the way back both stages at full size keep the inputs of two convolutions and two norms.
    assert grown["step"] > (3 + 3 * 4 + 8 + 3 * 4) * channel
    assert grown["step"] > grown["forward"]


def test_a_peak_is_what_was_held_at_once(tmp_path):
    require_peaks(CPU)
    console = tmp_path / "console.txt"
    process = ready_processes.start("peak_here", [], console)
    process.join(60)
    assert process.exitcode == 0, console.read_text()
    one, both, _ = map(float, console.read_text().split())
    assert one == pytest.approx(64, abs=3)
    assert both == pytest.approx(64 + 32, abs=3)


def test_what_is_drawn_is_labelled_and_the_same_at_every_call():
    first, second = (drawn_split(Pictures((40, 56), 4, 1), 3) for _ in range(2))
    assert first.images.shape == (3, 40, 56, 1)
    assert first.labels.shape == (3, 40, 56)
    assert set(first.labels.ravel()) == set(range(4))
    assert (first.images == second.images).all()
    assert (first.labels == second.labels).all()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "how many classes there are is in the data: give --num_classes, or --data_dir"),
        (["--num_classes", "1"], "num_classes 1 must lie between 2 and 254"),
        (["--num_classes", "3", "--size", "20"], "too small"),
        (["--num_classes", "3", "--size", "9000"], "size 9000x9000: sides have 1 to 8192 px"),
        (["--num_classes", "3", "--variants", "unit"], "unknown variant 'unit'; did you mean unet?"),
        (["--num_classes", "3", "--rounds", "0"], "rounds 0 must be at least 1"),
        (["--num_classes", "3", "--max_params", "5e6"], "unknown flag --max_params"),
        (["--num_classes", "3", "--measure", "--device", "cuda:9"], "device cuda:9 does not exist on this machine"),
        (["--data_dir", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_line(flags, message, own, capsys):
    assert main([str(own), *flags]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("error:") == errors.count("\n") == 1


def test_files_without_networks_are_refused_by_name(tmp_path, monkeypatch, own, capsys):
    assert main([]) == 2
    assert "name whose networks" in capsys.readouterr().err
    assert main(["camvid", "--num_classes", "11"]) == 2
    assert "camvid.yaml has no section ablation: ae-pretrained describe says" in capsys.readouterr().err
    content = yaml.safe_load(own.read_text())
    own.write_text(yaml.safe_dump({"ablation": content["ablation"]}))
    assert main([str(own), "--num_classes", "3"]) == 2
    assert "has no section data that says how large pictures are: give --size" in capsys.readouterr().err
    content["ablation"] |= {"variants": {"unet": {}}, "pretraining": {}}
    content["ablation"]["common"] |= {"patch": 32, "train_crop": None}
    own.write_text(yaml.safe_dump(content))
    assert main([str(own), "--num_classes", "3"]) == 2
    assert "variant unet has --patch, of volumes" in capsys.readouterr().err


def test_without_proc_nothing_is_measured(own, monkeypatch, tmp_path, capsys):
    from core.machine import peak as of_core

    monkeypatch.setattr(of_core, "RESET", tmp_path / "nowhere/clear_refs")
    assert main([str(own), "--num_classes", "3", "--measure", "--device", "cpu"]) == 2
    assert "the peak of memory is read from /proc, which Linux has" in capsys.readouterr().err
    assert main([str(own), "--num_classes", "3"]) == 0
    assert module.JSON not in {path.name for path in tmp_path.iterdir()}
