"""Learning from pictures without masks: what is believed, pasted, averaged, weighed; and that a stopped run goes on."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from run_folders import rows_of, stopped_at
from safetensors.torch import load_file

from core.classes import ClassSet
from core.errors import UserError
from core.headers.header import header_content
from core.machine.machine import make_machine
from core.randomness import keys
from core.weights import load_weights, save_weights
from data.loading import open_training
from data.opened import open_data
from transfer_learning.config import SegmentationConfig
from transfer_learning.task import SegmentationTask
from transfer_learning.train import main as train
from transfer_learning.unlabelled import stability
from transfer_learning.unlabelled.parts import with_parts
from transfer_learning.unlabelled.stability import agreement
from transfer_learning.unlabelled.teachers import load_teacher
from transfer_learning.unlabelled.thresholds import MOMENTUM, Confidence
from transfer_learning.unlabelled.views import AREA, believed, pasted, pieces, strong_view

SMALL = ["--width", "2", "--batch_size", "8", "--amp", "off", "--device", "cpu", "--lr", "0.002"]
CPU = torch.device("cpu")
BOTH = ["--unlabelled", "consistency", "--auxiliary", "mask_hog", "--unlabelled_batch", "4", "--thresholds", "class"]


@pytest.fixture
def run(pets):
    return lambda folder, *more: train([*SMALL, "--data_dir", str(pets), "--output_dir", str(folder), *more])


@pytest.fixture
def task(pets, tmp_path):
    """Return a task of given settings, its network set up for training."""

    def make(**settings) -> SegmentationTask:
        config = SegmentationConfig(
            data_dir=pets, width=2, batch_size=4, amp="off", max_steps=10, **{"unlabelled_batch": 4} | settings
        )
        machine = make_machine(config)
        made = SegmentationTask(config, *open_training(open_data(pets, None), config), machine)
        made.model, made.optimizer = machine.fabric.setup(made.model, made.optimizer)
        return made

    return make


def test_a_teacher_is_believed_where_it_is_sure_of_the_class():
    probabilities = torch.tensor([[[[0.9, 0.6, 0.2, 0.1]], [[0.1, 0.4, 0.8, 0.9]]]])
    content = torch.tensor([[[[True, True, True, False]]]])
    label, there = believed(probabilities, content, torch.tensor([0.7, 0.8]))
    assert label.tolist() == [[[0, 255, 1, 255]]]
    assert there.tolist() == [[[True, True, True, False]]]


@given(seed=st.integers(0, 2**31), height=st.integers(33, 80), width=st.integers(33, 80))
def test_pieces_are_rectangles_of_the_asked_for_size(seed, height, width):
    piece = pieces(keys(seed, 0, np.arange(16)), (height, width), 1.0)[:, 0]
    for one in piece:
        rows, columns = one.any(1), one.any(0)
        assert one.equal(rows[:, None] & columns)  # one rectangle
        for line in (rows, columns):
            inside = line.nonzero().flatten()
            assert len(inside) == inside[-1] - inside[0] + 1
        # A side is cut to a whole number of pixels, either way.
        slack = (rows.sum() + columns.sum() + 1) / (height * width)
        assert AREA[0] - slack <= one.float().mean() <= AREA[1] + slack
    assert not pieces(keys(seed, 0, np.arange(16)), (height, width), 0.0).any()


def test_a_share_of_the_pictures_gets_a_piece_of_the_next():
    piece = pieces(keys(3, 0, np.arange(4000)), (40, 40), 0.5)
    assert piece.flatten(1).any(1).float().mean() == pytest.approx(0.5, abs=0.03)
    values = torch.arange(3).view(3, 1, 1, 1).expand(3, 2, 1, 2)
    where = torch.tensor([True, False]).view(1, 1, 1, 2).expand(3, 1, 1, 2)
    assert pasted(values, where)[:, 0, 0].tolist() == [[1, 0], [2, 1], [0, 2]]
    assert pasted(values[:, 0], where).tolist() == pasted(values, where)[:, 0].tolist()


def test_thresholds_of_classes_follow_the_teacher_as_freematch_has_it():
    confidence = Confidence("class", 0.95, 2, 10, CPU)
    assert confidence.at(0).tolist() == [0.5, 0.5]
    probabilities = torch.tensor([[[[0.9, 0.8]], [[0.1, 0.2]]]])
    confidence.see(probabilities, torch.tensor([[[[True, False]]]]))
    mean = MOMENTUM * 0.5 + (1 - MOMENTUM) * 0.9
    classes = [MOMENTUM * 0.5 + (1 - MOMENTUM) * share for share in (0.9, 0.1)]
    assert confidence.at(1).tolist() == pytest.approx([mean, mean * classes[1] / classes[0]])
    for _ in range(2000):
        confidence.see(torch.tensor([[[[1.0]], [[0.0]]]]), torch.ones(1, 1, 1, 1, dtype=torch.bool))
    assert confidence.at(2001).tolist() == pytest.approx([0.95, 0], abs=1e-6)


def test_other_thresholds_stand_or_rise_to_the_end():
    assert Confidence("fixed", 0.9, 3, 10, CPU).at(0).tolist() == pytest.approx([0.9] * 3)
    ramp = Confidence("ramp", 0.9, 3, 10, CPU)
    assert ramp.at(4).tolist() == pytest.approx([1 / 3 + (0.9 - 1 / 3) / 2] * 3)
    assert ramp.at(9).tolist() == ramp.at(12).tolist() == pytest.approx([0.9] * 3)


def test_the_loss_is_that_of_what_the_teacher_says_of_the_strong_view(task):
    own = task(unlabelled="consistency", threshold=0.34, cutmix=0.0)  # of three classes one has so much nearly always
    own.begin_epoch(1)
    (part,) = own.parts
    weak, drawn = part.pictures.batch(0)
    found = part.losses(0, own.model, lambda batch, step: batch)
    network = own.model.get_submodule("module")
    network.eval()
    with torch.no_grad():
        probabilities = network(weak.clean, weak.content).softmax(1)
        label = probabilities.argmax(1).where((probabilities.amax(1) >= 0.34) & weak.content[:, 0], 255)
    network.train()
    assert found["believed"] == (label != 255).sum() / weak.content.sum()
    assert 0 < found["believed"] <= 1
    torch.manual_seed(1)  # dropout
    again = part.losses(0, own.model, lambda batch, step: batch)["unlabelled"]
    torch.manual_seed(1)
    logits = own.model(strong_view(weak, drawn), weak.content)
    expected = F.cross_entropy(logits, label, ignore_index=255, reduction="sum") / weak.content.sum()
    assert torch.allclose(again, expected, rtol=1e-5)


def test_where_nothing_is_believed_nothing_is_learned(task):
    own = task(unlabelled="consistency", threshold=1.0)
    own.begin_epoch(1)
    found = own.parts[0].losses(0, own.model, lambda batch, step: batch)
    found["unlabelled"].backward()
    assert found["unlabelled"] == found["believed"] == 0
    assert not any(p.grad.any() for p in own.model.parameters() if p.grad is not None)


def test_the_teacher_is_the_average_of_the_weights_after_each_step(task):
    own = task(unlabelled="consistency", teacher_ema=0.6)
    own.begin_epoch(1)
    (part,), weights = own.parts, own.model.get_submodule("module").head.weight
    seen = []
    for step in range(5):
        part.losses(step, own.model, lambda batch, _: batch)
        teacher = part.teacher.state(own.model)["teacher.module.head.weight"].clone()
        expected = seen[0] if seen else weights
        for number, other in enumerate(seen[1:], start=1):
            kept = min(0.6, 1 - 1 / (number + 1))
            expected = kept * expected + (1 - kept) * other
        assert torch.allclose(teacher, expected, atol=1e-7)
        with torch.no_grad():
            weights.add_(step + 1.0)
        seen.append(weights.detach().clone())


def test_masks_of_the_pool_are_not_looked_at(task, pets):
    own, other = (task(unlabelled="consistency", threshold=0.34, label_fraction=0.3) for _ in range(2))
    labels = np.array(other.train.labels)
    rows = np.setdiff1d(np.arange(len(labels)), other.train.label_rows[other.chosen])
    assert len(rows)
    labels[rows] = 1
    other.train = dataclasses.replace(other.train, labels=labels)
    other.parts[0].pictures.split = other.train
    for one in (own, other):
        one.begin_epoch(1)
    torch.manual_seed(0)
    first = own.training_losses(0)
    torch.manual_seed(0)
    assert {name: value.item() for name, value in other.training_losses(0).items()} == {
        name: value.item() for name, value in first.items()
    }


def test_the_loss_is_the_mean_by_weight():
    class Part:
        def __init__(self, name, value, weight):
            self.name, self.value, self.own = name, value, weight

        def losses(self, step, model, resized):
            return {self.name: torch.tensor(self.value), "beside": torch.tensor(0.5)}

        def weight(self, step):
            return self.own

    parts = [Part("unlabelled", 4.0, 1.0), Part("auxiliary", 10.0, 0.5)]
    found = with_parts({"loss": torch.tensor(1.0), "ce": None}, parts, 0, None, None)
    assert found["loss"] == (1 + 4 + 5) / 2.5
    assert (found["unlabelled"], found["auxiliary"], found["ce"]) == (4, 10, None)


def test_weights_rise_and_fall(task):
    own = task(unlabelled="consistency", unlabelled_rampup=4, unlabelled_weight=2.0, auxiliary="mask_hog")
    consistency, auxiliary = own.parts
    assert [consistency.weight(step) for step in (0, 2, 4, 9)] == pytest.approx(
        [2 * np.exp(-5), 2 * np.exp(-1.25), 2, 2]
    )
    assert [auxiliary.weight(step) for step in (0, 5, 10)] == pytest.approx([0.3, 0.15, 0])
    assert own.config.passes_per_step == 3 * 4 + (1 + 3) * 4 + 3 * 4


def test_what_restores_learns_and_is_not_kept(run, tmp_path):
    assert run(tmp_path, "--max_steps", "4", "--val_every", "2", "--auxiliary", "mask_hog") == 0
    rows = rows_of(tmp_path)
    assert all(float(row["train_auxiliary"]) > 0 for row in rows)
    state = torch.load(tmp_path / "state.ckpt", weights_only=True)
    assert state["carried"]["auxiliary.weight"].shape[0] == 27
    assert state["carried"]["auxiliary.bias"].any()
    plain = tmp_path / "plain"
    assert run(plain, "--max_steps", "2", "--val_every", "2") == 0
    best = "best_model.safetensors"
    assert load_file(tmp_path / best).keys() == load_file(plain / best).keys()


@pytest.mark.parametrize("stop", [5, pytest.param(6, marks=pytest.mark.all), pytest.param(0, marks=pytest.mark.all)])
def test_a_stopped_run_goes_on_to_the_same_bits(run, tmp_path, stop):
    same_bits(run, tmp_path, stop, BOTH)


@pytest.mark.all
def test_a_stopped_run_of_self_training_goes_on_to_the_same_bits(run, tmp_path):
    teacher = tmp_path / "teacher"
    assert run(teacher, "--max_steps", "2", "--val_every", "1", "--save_every", "1") == 0
    taught = ["--unlabelled", "self_training", "--teacher_weights", str(teacher / "best_model.safetensors")]
    same_bits(run, tmp_path, 5, [*taught, "--stable", "0.5", "--threshold", "0.34", "--label_fraction", "0.3"])


def same_bits(run, tmp_path, stop, settings):
    length = ["--max_steps", "8", "--val_every", "4", "--train_scales", "1,1.5", *settings]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(whole, *length) == 0
    with stopped_at(stop):
        assert run(stopped, *length, "--save_every_steps", "1") == 130
    assert run(stopped, *length) == 0
    assert rows_of(whole) == rows_of(stopped)
    assert all(row["train_unlabelled"] and row["train_believed"] for row in rows_of(whole))
    best = "best_model.safetensors"
    assert (whole / best).read_bytes() == (stopped / best).read_bytes()
    one, other = (torch.load(folder / "state.ckpt", weights_only=True)["carried"] for folder in (whole, stopped))
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)


def test_a_state_of_another_network_is_refused(task, tmp_path):
    own = task(unlabelled="consistency")
    carried = own.carried()
    carried.pop("teacher.module.head.weight")
    with pytest.raises(UserError, match=r"lacks the tensor 'module\.head\.weight'"):
        own.carry_on(carried)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"unlabelled_batch": 0}, "unlabelled_batch 0 must be at least 1"),
        ({"threshold": 1.1}, r"threshold 1\.1 is outside \[0, 1\]"),
        ({"teacher_ema": 1.0}, r"teacher_ema 1\.0 is outside \[0, 1\)"),
        ({"cutmix": -0.1}, r"cutmix -0\.1 is outside \[0, 1\]"),
        ({"unlabelled_weight": 0.0}, r"unlabelled_weight 0\.0 must be above 0"),
        ({"unlabelled_rampup": -1}, "unlabelled_rampup -1 must be at least 0"),
        ({"stable": 0.0}, r"stable 0\.0 is outside \(0, 1\]"),
        ({"unlabelled": "self_training"}, "self_training and --teacher_weights go together"),
        ({"teacher_weights": Path("w")}, "self_training and --teacher_weights go together"),
    ],
)
def test_settings_out_of_range_are_refused(settings, problem):
    with pytest.raises(UserError, match=problem):
        SegmentationConfig(**{"unlabelled": "consistency"} | settings)


def test_networks_that_end_in_scores_cannot_restore(task):
    with pytest.raises(UserError, match="--decoder fcn ends in scores"):
        task(auxiliary="mask_hog", decoder="fcn", encoder="resnet18")


def test_passes_count_the_teacher_and_the_unlabelled_pictures():
    assert SegmentationConfig(batch_size=8).passes_per_step == 24
    assert SegmentationConfig(batch_size=8, unlabelled="consistency", unlabelled_batch=6).passes_per_step == 48


def test_agreement_is_the_mean_iou_over_classes_that_either_holds():
    one = torch.tensor([[[0, 0, 1, 1]], [[2, 2, 2, 0]]])
    other = torch.tensor([[[0, 1, 1, 1]], [[2, 2, 2, 1]]])
    content = torch.tensor([[[True] * 4], [[True, True, True, False]]])
    assert agreement(one, other, content, 3).tolist() == pytest.approx([(1 / 2 + 2 / 3) / 2, 1.0])


def test_a_finished_run_labels_what_it_labelled_alike_throughout(run, tmp_path, capsys):
    length = ["--max_steps", "4", "--val_every", "2", "--label_fraction", "0.3"]
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(first, *length, "--save_every", "1") == 0
    taught = ["--unlabelled", "self_training", "--teacher_weights", str(first / "best_model.safetensors")]
    assert run(second, *length, *taught, "--stable", "0.5", "--threshold", "0") == 0
    assert [float(row["train_believed"]) for row in rows_of(second)] == [1, 1]
    assert "teacher_weights_sha256" in (second / "training_config.json").read_text()
    # Other checkpoints beside the same weights tell other pictures stable.
    newest = max((first / "checkpoints").glob("*.safetensors"))
    newest.unlink()
    capsys.readouterr()
    assert run(second, *length, *taught, "--stable", "0.5", "--threshold", "0", "--extend_to", "6") == 2
    assert "teacher_checkpoints_sha256" in capsys.readouterr().err
    shutil.rmtree(first / "checkpoints")
    assert run(tmp_path / "third", *length, *taught, "--stable", "0.5") == 2
    assert "has no checkpoints, by which --stable tells" in capsys.readouterr().err


def test_the_most_stable_pictures_are_learned_from(task, run, tmp_path, monkeypatch):
    first = tmp_path / "first"
    assert run(first, "--max_steps", "2", "--val_every", "1", "--save_every", "1") == 0
    drawn = iter(range(100))
    monkeypatch.setattr(
        stability, "agreement", lambda one, other, content, classes: torch.tensor([next(drawn)] * len(one)).double()
    )
    weights = first / "best_model.safetensors"
    own = task(unlabelled="self_training", teacher_weights=weights, stable=0.25, label_fraction=0.3)
    (part,) = own.parts
    assert len(stability.checkpoints_of(weights)) == 2
    # Of batches of four pictures the later ones agree more.
    (chosen,) = part.pictures.draws.groups
    count = len(own.train.names)
    assert chosen.tolist() == list(range(count - round(0.25 * count), count))


def test_a_teacher_of_other_classes_is_refused(run, tmp_path):
    first = tmp_path / "first"
    assert run(first, "--max_steps", "1", "--val_every", "1") == 0
    weights = first / "best_model.safetensors"
    machine = make_machine(SegmentationConfig(amp="off"))
    own, other = ClassSet(("background", "cat", "dog")), ClassSet(("a", "b"))
    with pytest.raises(UserError, match="tells other classes apart: background, cat, dog there, a, b here"):
        load_teacher(weights, other, 3, machine)
    with pytest.raises(UserError, match="is of pictures of 3 channels, these are pictures of 1"):
        load_teacher(weights, own, 1, machine)


def test_a_pool_is_a_part_of_train_and_said(run, tmp_path, capsys):
    length = ["--max_steps", "1", "--val_every", "1", "--unlabelled", "consistency", "--label_fraction", "0.3"]
    assert run(tmp_path / "some", *length, "--unlabelled_pictures", "species=cat") == 0
    said = capsys.readouterr().out
    assert " without their masks (species=cat), " in said
    assert run(tmp_path / "none", *length, "--unlabelled_pictures", "species=lynx") == 2
    assert "no picture of Train has the species 'lynx'" in capsys.readouterr().err
    assert run(tmp_path / "odd", *length, "--unlabelled_pictures", "everything") == 2
    assert "'everything' names no pictures" in capsys.readouterr().err


def test_another_teacher_makes_another_run_and_outside_weights_are_handed_on(run, task, tmp_path, capsys):
    length = ["--max_steps", "1", "--val_every", "1"]
    teacher = tmp_path / "teacher"
    assert run(teacher, *length) == 0
    weights = teacher / "best_model.safetensors"
    taught = [*length, "--label_fraction", "0.3", "--unlabelled", "self_training", "--teacher_weights", str(weights)]
    assert run(tmp_path / "pupil", *taught) == 0
    assert run(tmp_path / "pupil", *taught) == 0
    assert "Nothing to do" in capsys.readouterr().out
    tensors, header = load_weights(weights)
    content = {**header_content(weights), "config": {**header.config, "encoder_weights": "imagenet"}}
    del content["sha256"]
    save_weights(weights, tensors, content)
    # The run folder is that of another teacher now, whatever the path.
    assert run(tmp_path / "pupil", *taught) == 2
    assert "teacher_weights_sha256" in capsys.readouterr().err
    own = task(unlabelled="self_training", teacher_weights=weights, label_fraction=0.3)
    assert own.header()["outside_weights"] == ("unet",)
