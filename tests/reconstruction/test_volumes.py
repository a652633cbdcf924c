"""Phase 1 on volumes: similarity, scores over windows, hidden cubes, normalised patches, kills."""

import numpy as np
import pytest
import torch
from sample_volumes import write_volumes

from core.randomness import keys
from data.pretext.hiding import hidden_patches
from data.pretext.targets import normalised_patches
from reconstruction.losses import dissimilarity_sums
from reconstruction.task import ReconstructionTask
from reconstruction.train import main
from reconstruction.volumes import VolumeScores


def pair(*sides):
    numbers = torch.Generator().manual_seed(0)
    target = torch.rand(2, 1, *sides, generator=numbers)
    return (target + 0.1 * torch.randn(2, 1, *sides, generator=numbers)).clamp(0, 1), target


def test_similarity_of_volumes_is_that_of_monai():
    metrics = pytest.importorskip("monai.metrics.regression")
    restored, target = pair(14, 13, 16)
    total, count = dissimilarity_sums(restored, target, torch.ones_like(target, dtype=torch.bool))
    reference = metrics.SSIMMetric(spatial_dims=3, data_range=1.0)(restored, target)
    assert 1 - total / count == pytest.approx(reference.mean().item(), abs=1e-4)


def test_windows_that_see_no_content_are_not_counted():
    restored, target = pair(16, 12, 30)
    content = torch.zeros_like(target, dtype=torch.bool)
    content[..., :12] = True
    inside = dissimilarity_sums(restored * content, target * content, content)
    # Of the 20 places along the last axis the first 12 see some of the 12 voxels.
    whole = dissimilarity_sums(restored * content, target * content, torch.ones_like(content))
    assert inside[0] == pytest.approx(whole[0].item() * 20 / 12, rel=1e-5)


def test_scores_of_a_volume_add_up_over_its_windows():
    restored, target = pair(16, 16, 16)
    content = torch.ones_like(target, dtype=torch.bool)
    content[1, ..., 12:, :] = False
    scores = VolumeScores()
    scores.add(np.array([7, 7]), restored * content, target * content, content)
    found = scores.scores()
    error = (restored - target).square()[content].mean()
    assert found["mse"].item() == pytest.approx(error.item(), rel=1e-5)
    assert found["psnr"].item() == pytest.approx(-10 * np.log10(error.item()), rel=1e-5)
    assert 0 < found["ssim"].item() < 1


def test_cubes_are_hidden_as_many_in_each_volume():
    hidden = hidden_patches(keys(0, 0, np.arange(3)), (16, 10, 8), 4, 0.5)
    assert hidden.shape == (3, 1, 16, 10, 8)
    cubes = hidden[:, 0, ::4, ::4, ::4]
    assert cubes.flatten(1).sum(1).tolist() == [12, 12, 12]
    assert torch.equal(hidden[:, 0, 4:8, 4:8, :4].flatten(1).float().mean(1).frac(), torch.zeros(3))


def test_each_cube_loses_its_own_mean_and_deviation():
    _, target = pair(8, 8, 6)
    normal = normalised_patches(target, 4)
    cube = target[1, :, 4:, :4, :4].numpy()
    expected = (cube - cube.mean()) / np.sqrt(cube.var() + 1e-4)
    np.testing.assert_allclose(normal[1, :, 4:, :4, :4].numpy(), expected, atol=1e-4)
    assert normal.shape == target.shape


def test_a_killed_run_ends_with_the_same_bits(tmp_path, monkeypatch):
    data = write_volumes(tmp_path / "data")
    flags = "--width 2 --batch_size 2 --max_steps 4 --val_every 2 --save_every 1 --patch 16 --device cpu --amp off"
    masked = "--perceptual_weight 0 --pretext mask --mask_patch 4 --target normalised"
    command = [*flags.split(), *masked.split(), "--data_dir", str(data), "--output_dir"]
    assert main([*command, str(tmp_path / "once")]) == 0
    usual = ReconstructionTask.training_losses

    def killed(task, step):
        if step == 3:
            raise KeyboardInterrupt
        return usual(task, step)

    with monkeypatch.context() as patched:
        patched.setattr(ReconstructionTask, "training_losses", killed)
        assert main([*command, str(tmp_path / "again")]) != 0
    assert main([*command, str(tmp_path / "again")]) == 0
    once, again = ((tmp_path / run / "best_model.safetensors").read_bytes() for run in ("once", "again"))
    assert once == again
