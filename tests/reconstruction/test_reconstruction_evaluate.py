"""What reconstruction.evaluate leaves: scores of each picture, intervals, figures; and odd data it must survive."""

import csv
import json
import math
import shutil

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_msssim import ms_ssim
from sample_latent import evaluate_untrained
from sample_pets import make_pets, picture

from core.statistics import mean_interval
from data.augment.settings import LARGEST, AugmentConfig
from data.opened import open_data
from data.prepare import main as prepare
from reconstruction.evaluate import main
from reconstruction.figures.evaluation import corruption_of
from reconstruction.figures.pictures import file_stems, printable, save_comparisons
from reconstruction.metrics import multi_scale_ssim
from reconstruction.per_image import METRICS
from reconstruction.perceptual import PerceptualDistance


def noisy(*shape):
    generator = torch.Generator().manual_seed(0)
    target = F.avg_pool2d(torch.rand(*shape, generator=generator), 7, 1, 3)
    return (target + 0.1 * torch.randn(target.shape, generator=generator)).clamp(0, 1), target


def table_of(folder):
    with (folder / "out/per_image.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_multi_scale_ssim_is_that_of_the_crop():
    restored, target = noisy(3, 3, 200, 180)
    rectangles = torch.tensor([[10, 5, 190, 170], [0, 0, 200, 160], [19, 0, 180, 161]])
    found = multi_scale_ssim(restored, target, rectangles)
    for index in (0, 2):
        top, left, bottom, right = rectangles[index].tolist()
        crops = (images[index : index + 1, :, top:bottom, left:right] for images in (restored, target))
        assert found[index].item() == pytest.approx(ms_ssim(*crops, data_range=1).item(), abs=1e-6)
    assert found[1].isnan()
    assert found[0] < 1
    everything = torch.tensor([[0, 0, 200, 180]]).repeat(3, 1)
    assert multi_scale_ssim(target, target, everything).tolist() == pytest.approx([1] * 3)


def test_perceptual_distance_of_each_image_is_that_of_it_alone():
    distance = PerceptualDistance()
    restored, target = noisy(3, 3, 64, 72)
    content = torch.zeros(3, 1, 64, 72, dtype=torch.bool)
    content[0] = content[1, :, 8:40] = content[2, :, :, 20:61] = True
    found = distance.of_images(restored.where(content, torch.nan), target.where(content, 7), content)
    for index in range(3):
        pair = (images[index : index + 1] * content[index] for images in (restored, target))
        alone = distance(*pair, content[index : index + 1]).item()
        assert found[index].item() == pytest.approx(alone, rel=1e-4)
    assert found.min() > 0


def test_the_table_holds_what_the_means_are_made_of(pets, tmp_path):
    content = evaluate_untrained(main, pets, tmp_path)
    rows = table_of(tmp_path)
    split = open_data(pets).split("Test")
    species = split.tags["species"]
    assert [(row["name"], row["tag_species"]) for row in rows] == list(zip(split.names, species, strict=True))
    assert list(rows[0]) == ["name", "tag_species", *METRICS]
    for metric in ("mse", "psnr", "ssim", "perceptual"):
        values = [float(row[metric]) for row in rows]
        assert content[metric] == pytest.approx(np.mean(values))
        assert content["intervals"][metric] == pytest.approx(mean_interval(np.array(values)))
        low, high = content["intervals"][metric]
        assert low < content[metric] < high
    assert {row["ms_ssim"] for row in rows} == {""}
    assert content["ms_ssim"] is content["intervals"]["ms_ssim"] is None
    assert f"exceeds 160 px: {len(rows)} of {len(rows)} pictures are smaller" in content["ms_ssim_note"]


def test_scores_do_not_depend_on_the_batch(pets, tmp_path):
    first = evaluate_untrained(main, pets, tmp_path, "--batch_size", "1", "--visualize_samples", "0")
    rows = table_of(tmp_path)
    second = evaluate_untrained(main, pets, tmp_path, "--batch_size", "5", "--visualize_samples", "0")
    for row, other in zip(rows, table_of(tmp_path), strict=True):
        for metric in ("mse", "psnr", "ssim", "perceptual"):
            assert float(row[metric]) == pytest.approx(float(other[metric]), rel=1e-3)
    assert first["ssim"] == pytest.approx(second["ssim"], rel=1e-4)


def test_figures_show_single_pictures_and_extremes(pets, tmp_path):
    content = evaluate_untrained(main, pets, tmp_path, "--visualize_samples", "3")
    files = [entry["file"] for entry in content["figures"]]
    assert files[0] == "figures/reconstructions.png"
    assert files[-1] == "figures/best_and_worst.png"
    drawn = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out/figures").rglob("*.*")}
    comparisons = {file for file in drawn if file.startswith("figures/comparisons/")}
    assert len(comparisons) == 3
    assert drawn - comparisons == set(files)


def test_equal_runs_leave_equal_files(pets, tmp_path):
    found = []
    for _ in range(2):
        evaluate_untrained(main, pets, tmp_path, noise=0.1)
        found.append({path: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*.*")) if path.is_file()})
        shutil.rmtree(tmp_path / "out")
    assert found[0] == found[1]
    assert len(found[0]) == 8  # with what they are known by when the command is called again


def test_curves_come_from_the_log_beside_the_weights(pets, tmp_path, capsys):
    log = tmp_path / "training_log.csv"
    log.write_text("epoch,train_loss,val_loss,val_psnr,val_ssim\n1,0.5,0.4,20,\n2,0.3,0.35,21,\n")
    content = evaluate_untrained(main, pets, tmp_path, "--visualize_samples", "0")
    assert [entry["file"] for entry in content["figures"]] == ["figures/training_curves.png"]
    assert (tmp_path / "out/figures/training_curves.svg").read_text().count("SSIM") == 0
    assert not any("curves" in note for note in content["notes"])
    log.write_text("epoch,loss\n1,0.5\n")
    content = evaluate_untrained(main, pets, tmp_path, "--visualize_samples", "0")
    assert "holds no row of phase 1" in content["notes"][0]
    assert "note: no training curves" in capsys.readouterr().out


def test_damaged_inputs_are_drawn_where_training_damaged_them(pets, tmp_path):
    content = evaluate_untrained(main, pets, tmp_path, blur=0.0, noise=0.3, flip=0.5, rotation=15.0)
    captions = {entry["file"]: entry["caption"] for entry in content["figures"]}
    assert "(noise 0.3)" in captions["figures/corrupted_inputs.png"]
    untouched = evaluate_untrained(main, pets, tmp_path, blur=0.0, noise=0.0, flip=0.5)
    assert "figures/corrupted_inputs.png" not in {entry["file"] for entry in untouched["figures"]}


def test_only_the_damage_is_left_of_an_augmentation():
    config = corruption_of({"blur": 0.5, "cutout": 0.25, "cutout_size": 0.5, "flip": 0.5, "hue": 0.02, "lr": 0.1})
    damage = {"blur": 0.5, "cutout": 0.25, "cutout_size": 0.5}
    assert config == AugmentConfig(**{**dict.fromkeys(LARGEST, 0.0), **damage})


def test_file_stems_are_safe_and_different():
    names = ["Abyssinian_1", "abyssinian_1", "a/tom", "a_tom", "ü x", "日本", "..", "n" * 300, "caf\udce9", "b-1.2"]
    stems = file_stems(names)
    assert len({stem.lower() for stem in stems}) == len(names)
    assert stems[3] == "a_tom" or stems[3].startswith("a_tom-")
    assert stems[-1] == "b-1.2"
    for stem in stems:
        assert set(stem) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert not stem.startswith(".")
        assert len(stem) < 100
    assert file_stems(["a/tom", "a:tom"])[0] != file_stems(["a/tom", "a:tom"])[1]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """One's own pictures at 176 px, no mask: a wide one, a constant one, one with odd characters in its name."""
    root = tmp_path_factory.mktemp("own")
    (root / "images/a$b").mkdir(parents=True)
    pictures = {
        "a$b/tom $x^2$": picture(1, 176, 176),
        "grey": np.full((176, 176, 3), 128, np.uint8),
        "wide": picture(2, 120, 176),
    }
    for name, array in pictures.items():
        cv2.imwrite(str(root / "images" / f"{name}.png"), array)
    flags = ["--dataset", "folder", "--images", str(root / "images"), "--output_dir", str(root / "processed")]
    assert prepare([*flags, "--size", "176", "--val_ratio", "0", "--test_ratio", "0"]) == 0
    return root / "processed"


def test_own_pictures_without_masks_of_any_kind(own, tmp_path):
    content = evaluate_untrained(main, own, tmp_path, "--split", "Train", "--analyze_latent_space", noise=0.1)
    rows = {row["name"]: row for row in table_of(tmp_path)}
    assert rows["wide"]["ms_ssim"] == ""
    known = [float(rows[name]["ms_ssim"]) for name in ("a$b/tom $x^2$", "grey")]
    assert content["ms_ssim"] == pytest.approx(np.mean(known))
    assert "1 of 3 pictures are smaller" in content["ms_ssim_note"]
    captions = {entry["file"]: entry["caption"] for entry in content["figures"]}
    assert list(content["latent_space"]["tags"]) == ["folder"], captions
    assert all(math.isfinite(float(row["perceptual"])) for row in rows.values())


def test_a_name_that_is_no_text_can_be_drawn(tmp_path):
    array = np.zeros((8, 8, 3))
    save_comparisons([tmp_path / "x.png"], ["caf\udce9"], ["SSIM 1"], [array], [array], [array[..., 0]])
    assert (tmp_path / "x.png").stat().st_size > 1000
    assert printable("caf\udce9 日本") == "caf? 日本"


def test_a_single_picture(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images/one.png"), picture(3, 40, 60))
    flags = ["--dataset", "folder", "--images", str(tmp_path / "images"), "--output_dir", str(tmp_path / "data")]
    assert prepare([*flags, "--size", "40", "--val_ratio", "0", "--test_ratio", "0"]) == 0
    content = evaluate_untrained(main, tmp_path / "data", tmp_path, "--split", "Train", "--analyze_latent_space")
    assert content["num_samples"] == 1
    assert set(content["intervals"].values()) == {None}
    assert content["latent_space"]["explained_variance"]["trained"] == {"first_2": None, "first_10": None}
    assert "figures/best_and_worst.png" not in {entry["file"] for entry in content["figures"]}


def test_a_letterboxed_split_has_its_tags_in_its_table(tmp_path):
    flags = ["--archives", str(make_pets(tmp_path / "source")), "--output_dir", str(tmp_path / "data"), "--size", "40"]
    assert prepare(flags) == 0
    evaluate_untrained(main, tmp_path / "data", tmp_path, "--visualize_samples", "0")
    assert {(row["tag_breed"], row["tag_species"]) for row in table_of(tmp_path)} == {
        *(("Bengal", "cat"), ("Persian", "cat"), ("beagle", "dog"), ("pug", "dog"))
    }


def test_a_broken_network_is_no_missing_score(pets, tmp_path, capsys):
    evaluate_untrained(main, pets, tmp_path, code=1, broken=True)
    assert "the network broke" in capsys.readouterr().err
    assert not (tmp_path / "out/reconstruction_metrics.json").exists()


def test_more_rows_than_a_figure_holds_are_refused(capsys):
    assert main(["--visualize_samples", "201", "--model_path", "x"]) == 2
    assert "200 rows at most" in capsys.readouterr().err


def test_the_json_keeps_what_was_there_before(pets, tmp_path):
    content = evaluate_untrained(main, pets, tmp_path, "--visualize_samples", "0")
    assert {"mse", "psnr", "ssim", "num_samples", "provenance"} <= set(content)
    assert (content["format"], content["phase"]) == (2, "reconstruction")
    assert content == json.loads((tmp_path / "out/reconstruction_metrics.json").read_text())
    assert content["figures"] == []
