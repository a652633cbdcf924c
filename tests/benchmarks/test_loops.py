"""The loops of others learn, and the plain scoring of originals gives our scores: it does the same work."""

from functools import partial

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.arms.training import plain_network
from benchmarks.loops import peers, practitioner, scoring
from benchmarks.sources import ORIGINAL_SIDES, photographs
from core.networks.unet import initialise
from data.opened import open_data
from transfer_learning.inference.backends import Network
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.readout import Readout
from transfer_learning.network import SegmentationUNet
from transfer_learning.scores.boundary import boundary_distance, boundary_iou
from transfer_learning.scores.results import results_of
from transfer_learning.scores.split import scores_of_split

CPU = torch.device("cpu")
SIZE = 64
PIXELS = ("pixel_accuracy", "mean_iou", "mean_foreground_dice")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return photographs(tmp_path_factory.mktemp("photographs"), SIZE, 20)


def test_photographs_have_sides_of_their_own_and_a_rim_that_is_ignored(pictures):
    split = open_data(pictures.data_dir).split("Test")
    files = pictures.of_split("Test")
    assert len(files) == len(split.labelled) > 1
    for index, file in zip(split.labelled, files, strict=True):
        sides = (split.geometries[index].height, split.geometries[index].width)
        assert sides in ORIGINAL_SIDES
        assert Image.open(file).size == sides[::-1]
        truth = np.array(Image.open(file.parents[1] / "masks" / f"{file.stem}.png"))
        assert np.array_equal(split.truth(index), truth)
        assert 255 in truth


def test_a_few_photographs_hold_every_class(tmp_path):
    data = open_data(photographs(tmp_path, SIZE, 13, 150).data_dir)
    assert len(data.class_set) == 150


def require_monai():
    pytest.importorskip("monai", reason="monai is not installed (extra `benchmarks`)")


def loop(folder, name):
    files = practitioner.PictureFiles(folder, SIZE)
    smp_files = practitioner.Batches(peers.SmpFiles(folder, SIZE), 4, 0)
    if name == "monai":
        require_monai()
        return peers.MonaiStep, peers.monai_batches(folder, SIZE, 4, 0)
    return {
        "practitioner": (practitioner.Step, practitioner.Batches(files, 4, 0)),
        "bf16": (lambda model, device: practitioner.Step(model, device, bf16=True), practitioner.Batches(files, 4, 0)),
        "smp": (peers.SmpStep, smp_files),
    }[name]


@pytest.mark.parametrize("name", ["practitioner", "bf16", "smp", "monai"])
def test_every_loop_trains_our_network(pictures, name):
    make_step, batches = loop(pictures.files, name)
    torch.manual_seed(0)
    model = plain_network(2)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    practitioner.Training(make_step(model, CPU), batches, steps=1)()
    moved = [not torch.equal(before[name], tensor) for name, tensor in model.named_parameters()]
    assert np.mean(moved) > 0.9
    assert all(tensor.isfinite().all() for tensor in model.parameters())


def test_smp_files_are_bytes_of_the_size_asked_for(pictures):
    image, mask = peers.SmpFiles(pictures.files, SIZE)[0]
    assert (image.shape, mask.shape, image.dtype, mask.dtype) == ((3, SIZE, SIZE), (SIZE, SIZE), np.uint8, np.uint8)


def test_plain_scoring_gives_our_scores(pictures):
    """Nearly: pictures are decoded and resized by other libraries, and MONAI's outlines are a little thinner."""
    require_monai()
    torch.manual_seed(0)
    ours, plain = SegmentationUNet(3, 2).eval(), plain_network(2)
    initialise(ours)
    plain.load_state_dict(ours.state_dict())
    split = open_data(pictures.data_dir).split("Test")
    readout = Readout(Network(ours, CPU), split.size, split.manifest.resize_mode, ReadoutOptions(), 4)
    wanted = results_of(scores_of_split(readout, split))
    score = partial(scoring.evaluation, plain, pictures.of_split("Test"), SIZE, CPU, 0)
    found = score(everything=True)()
    assert found.pop("boundary_distance_pixels") == pytest.approx(wanted["boundary_distance_pixels"], rel=0.2)
    assert found == pytest.approx({name: wanted[name] for name in found}, abs=0.03)
    assert score(everything=False)() == pytest.approx({name: wanted[name] for name in PIXELS}, abs=0.03)


def test_plain_outlines_are_ours():
    require_monai()
    generator = np.random.default_rng(0)
    masks = [cv2.GaussianBlur(generator.random((90, 120)), (0, 0), 6) > 0.5 for _ in range(2)]
    rims = [scoring.mask_to_boundary(mask.astype(np.uint8)).astype(bool) for mask in masks]
    assert boundary_iou(*masks) == pytest.approx((rims[0] & rims[1]).sum() / (rims[0] | rims[1]).sum())
    distance, overlap = scoring._outline(*(torch.from_numpy(mask)[None].long() for mask in masks))
    assert overlap == pytest.approx(boundary_iou(*masks))
    assert distance == pytest.approx(boundary_distance(*masks), rel=0.1)
