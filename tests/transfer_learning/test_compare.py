"""Ensembles, and what `evaluate --compare` says that each step adds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sample_classes import classes_of
from sample_pets import picture
from sample_weights import write_weights

from core.classes import ClassSet
from core.errors import UserError
from core.statistics import resampled_sums
from data.opened import open_data
from transfer_learning.evaluate import main as evaluate
from transfer_learning.inference.backends import load_network
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.inference.splits import readout_of_split
from transfer_learning.predict import main as predict
from transfer_learning.scores.compare import ladder
from transfer_learning.scores.confusion import scores_of_counts
from transfer_learning.scores.paired import paired_gain
from transfer_learning.scores.split import scores_of_split


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> list[Path]:
    """Of two widths, sizes and normalisations."""
    folder = tmp_path_factory.mktemp("networks")
    return [
        write_weights(folder / "a.safetensors", 1),
        write_weights(folder / "b.safetensors", 2, 48, width=3, normalisation="unit"),
    ]


@pytest.fixture
def scored(pets, tmp_path):
    def call(*flags: object) -> tuple[int, dict]:
        common = ["--data_dir", str(pets), "--output_dir", str(tmp_path / "out"), "--no_figures", "--device", "cpu"]
        code = evaluate([*common, *map(str, flags)])
        path = tmp_path / "out/evaluation_results.json"
        return code, json.loads(path.read_text()) if code == 0 else {}

    return call


def test_an_ensemble_is_the_mean_of_the_probabilities_of_each_network(networks):
    image = picture(1, 70, 50)
    alone = [Segmenter.load(path, device="cpu").see([image])[0].probabilities() for path in networks]
    together = Segmenter.load(networks[0], device="cpu", ensemble=networks[1:])
    (seen,) = together.see([image])
    np.testing.assert_allclose(seen.probabilities(), (alone[0] + alone[1]) / 2, atol=1e-6)
    assert together.readout.settings["ensemble"][0]["size"] == 48
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    (alike,) = Segmenter.load(networks[0], device="cpu", ensemble=str(networks[1])).see([image])
    np.testing.assert_array_equal(alike.probabilities(), seen.probabilities())
    (without,) = Segmenter.load(None, device="cpu", ensemble=networks).see([image])
    np.testing.assert_array_equal(without.probabilities(), seen.probabilities())


def test_an_ensemble_is_scored_as_it_is_read(networks, scored, pets):
    code, found = scored("--model_path", networks[0], "--ensemble", networks[1])
    assert code == 0
    split = open_data(pets).split("Test")
    options = ReadoutOptions(ensemble=(networks[1],))
    first, second = (load_network(path, options, "cpu") for path in networks)
    readout = readout_of_split(first, split, options, 8, [second])
    assert (readout.size, readout.others[0].size) == ((40, 40), (48, 48))
    np.testing.assert_array_equal(found["confusion_matrix"], scores_of_split(readout, split).matrix)
    (other,) = found["provenance"]["ensemble"]
    assert (other["seed"], found["provenance"]["seed"]) == (2, 1)
    assert other["checkpoint_sha256"] != found["provenance"]["checkpoint_sha256"]
    assert found["provenance"]["views"] == "whole, by 2 networks"


def test_an_ensemble_that_cannot_be_is_refused(networks, scored, tmp_path, capsys):
    other = write_weights(tmp_path / "other.safetensors", 3, classes=ClassSet(("background", "dog", "cat")))
    grey = write_weights(tmp_path / "grey.safetensors", 3, in_channels=1)
    for given, said in (
        ((other,), "class 1 is 'dog' there and 'cat' here: an ensemble has one set of classes"),
        ((grey,), "grey.safetensors sees pictures of 1 channels"),
        ((networks[0],), "is in the ensemble twice: every network has one vote"),
    ):
        assert scored("--model_path", networks[0], "--ensemble", *given)[0] == 2
        assert said in capsys.readouterr().err
    with pytest.raises(UserError, match="class 1 is 'dog' there"):
        Segmenter.load(networks[0], ensemble=[other])
    assert scored("--ensemble")[0] == 2


def test_prediction_takes_an_ensemble(networks, tmp_path):
    from PIL import Image

    Image.fromarray(picture(1, 50, 44)).save(tmp_path / "tom.png")
    flags = ["--ensemble", *map(str, networks), "--postprocess", "median:3", "--device", "cpu", "--no_figures"]
    assert predict([*flags, "--input", str(tmp_path / "tom.png"), "--output_dir", str(tmp_path / "out")]) == 0
    content = json.loads((tmp_path / "out/predictions.json").read_text())
    assert len(content["settings"]["ensemble"]) == len(content["provenance"]["ensemble"]) == 1
    mask = np.array(Image.open(tmp_path / "out/masks/tom.png"))
    loaded = Segmenter.load(None, device="cpu", ensemble=networks, postprocess="median:3")
    np.testing.assert_array_equal(mask, loaded(tmp_path / "tom.png")[0])


def test_the_ladder_ends_at_what_was_asked_for():
    options = ReadoutOptions(
        tta="flips,0.75,1", tile=True, size=33, postprocess="median, largest[cat]", ensemble=(Path("b"),)
    )
    rungs = list(ladder(options))
    assert [title for title, _ in rungs] == [
        *("plain", "mirrored too", "at scales 0.75 1", "in windows", "median:5", "largest[cat]", "2 networks")
    ]
    assert replace(rungs[-1][1], postprocess=options.postprocess) == options
    plain = rungs[0][1]
    assert (plain.scales, plain.mirrors, plain.tile, plain.steps, plain.ensemble) == ((1.0,), False, False, (), ())
    assert [title for title, _ in ladder(ReadoutOptions(tta="0.5"))] == ["plain", "at scales 0.5"]


def test_each_step_is_compared_with_the_one_before(networks, scored, tmp_path, capsys):
    flags = ("--model_path", networks[0], "--tta", "flips", "--postprocess", "median:5", "--ensemble", networks[1])
    code, found = scored(*flags, "--compare")
    assert code == 0
    said = capsys.readouterr().out
    rows = json.loads((tmp_path / "out/compare.json").read_text())["readings"]
    assert [row["title"] for row in rows] == ["plain", "mirrored too", "median:5", "2 networks"]
    assert rows[-1]["mean_iou"] == found["mean_iou"]
    for row, below in zip(rows[1:], rows, strict=False):
        assert row["gain"] == pytest.approx(row["mean_iou"] - below["mean_iou"])
        assert row["gain_over_plain"] == pytest.approx(row["mean_iou"] - rows[0]["mean_iou"])
        low, high = row["gain_interval"]
        assert low <= high
        assert row["seconds_per_picture"] > 0
    lines = (tmp_path / "out/compare.md").read_text().splitlines()
    assert len(lines) == 2 + len(rows)
    assert lines[-1].startswith(f"| 2 networks | {found['mean_iou']:.4f} |")
    assert "What each step adds" in said
    assert scored(*flags)[1]["confusion_matrix"] == found["confusion_matrix"]
    assert not (tmp_path / "out/compare.json").exists()
    assert scored("--model_path", networks[0])[1]["mean_iou"] == rows[0]["mean_iou"]


@pytest.mark.parametrize("flags", [(), ("--tta", "1")])
def test_nothing_to_compare_is_refused(flags, networks, scored, capsys):
    assert scored("--model_path", networks[0], "--compare", *flags)[0] == 2
    assert "--compare has nothing to add to the plain reading" in capsys.readouterr().err


def test_a_figure_shows_what_each_step_adds(networks, pets, tmp_path):
    common = ["--model_path", str(networks[0]), "--data_dir", str(pets), "--device", "cpu", "--visualize_samples", "0"]
    assert evaluate([*common, "--output_dir", str(tmp_path), "--compare", "--postprocess", "median, fill"]) == 0
    entries = json.loads((tmp_path / "evaluation_results.json").read_text())["figures"]
    assert entries[-1]["file"] == "figures/compare.png"
    assert (tmp_path / "figures/compare.png").stat().st_size > 1000


def test_paired_gains_draw_the_same_images_for_both():
    classes = classes_of(4)
    generator = np.random.default_rng(0)
    truth = generator.integers(50, 100, (30, 4))
    first, second = (
        np.stack([hit, truth, truth + generator.integers(0, 9, truth.shape)], -1)
        for hit in (truth - 20, truth - generator.integers(10, 20, truth.shape))
    )
    value, (low, high) = paired_gain(first, second, classes)
    expected = [scores_of_counts(one.sum(0, keepdims=True), classes)["mean_iou"][0] for one in (first, second)]
    assert value == pytest.approx(expected[1] - expected[0])
    drawn = [
        scores_of_counts(resampled_sums(one.reshape(30, -1)).reshape(-1, 4, 3), classes)["mean_iou"]
        for one in (first, second)
    ]
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn[1] - drawn[0], [0.025, 0.975])))
    assert paired_gain(first, first, classes) == (0.0, [0.0, 0.0])
