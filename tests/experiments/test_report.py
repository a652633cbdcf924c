"""The report: what it finds, what it computes, and that it says what is missing."""

import base64
import dataclasses
import json
import re
import shlex

import pytest
from report_samples import (
    HOSTILE,
    page_of,
    segmentation_settings,
    words,
    write_picture,
    write_reconstruction,
    write_run,
    write_segmentation,
    write_strip,
)

from core.config import parse
from experiments.page.command_lines import training_command, unknown
from experiments.page.pictures import CHOSE, overlay
from experiments.page.tables import number
from experiments.report import main as report
from experiments.runs import find_runs
from transfer_learning.config import SegmentationConfig
from transfer_learning.train import main as train


def test_one_run_shows_its_scores_with_intervals(tmp_path):
    result = write_segmentation(
        tmp_path / "scratch",
        intervals={"mean_iou": [0.0123, 0.4567], "classes": {"cat": {"iou": [0.25, 0.3456]}, "dog": None}},
        tags={
            "breed": {
                "beagle": {
                    "num_images": 7,
                    "mean_iou_true_classes": 0.771,
                    "iou": {"background": 0.5, "cat": None, "dog": 0.6},
                }
            }
        },
        expected_calibration_error=0.0321,
    )
    text = words(page_of(tmp_path / "scratch"))
    assert f"mean IoU {result['mean_iou']:.3f} 0.012 to 0.457" in text
    assert f"{result['classes']['cat']['iou']:.3f} 0.250 to 0.346" in text
    assert "beagle 7 0.771 0.500 – 0.600" in text
    assert "expected calibration error 0.032" in text
    assert "30 images of Test, at 64 px" in text
    assert "Side by side" not in text


def test_results_of_an_older_version_have_no_intervals(tmp_path):
    result = write_segmentation(tmp_path)
    (tmp_path / "per_image.csv").unlink()
    assert f"mean IoU {result['mean_iou']:.3f} –" in words(page_of(tmp_path))


def test_a_score_with_nothing_to_score_is_a_dash(tmp_path):
    write_segmentation(tmp_path, foreground_iou=None)
    assert "foreground IoU – –" in words(page_of(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.unlink(), "per_image.csv is missing: evaluate b again"),
        (lambda file: file.write_text("name,psnr\nx,1\n"), "lacks columns or numbers"),
        (lambda file: file.write_text(file.read_text().replace("pet_1,", "other,")), "30 and 30, 29 of them common"),
        (lambda file: file.write_text(file.read_text().replace("pet_1,", "pet_1,1")), "does not add up to the scores"),
    ],
)
def test_where_no_difference_can_be_given_the_page_says_why(tmp_path, change, message):
    write_segmentation(tmp_path / "a", 1)
    write_segmentation(tmp_path / "b", 2)
    change(tmp_path / "b/per_image.csv")
    text = words(page_of(tmp_path / "a", tmp_path / "b"))
    assert message in text
    assert "may turn it round" not in text  # no verdict
    assert "says nothing about seeds" in text


def test_settings_that_differ_are_named(tmp_path):
    settings = segmentation_settings()
    write_segmentation(tmp_path / "a", 1, settings)
    write_segmentation(tmp_path / "b", 2, {**settings, "lr": 0.123, "seed": 7})
    text = words(page_of(tmp_path / "a", tmp_path / "b"))
    assert "One setting differs: lr. The seeds differ." in text
    assert "lr 0.005 0.123" in text
    write_segmentation(tmp_path / "b", 2, {**settings, "lr": 0.123, "width": 8})
    assert "2 settings differ, so a difference" in words(page_of(tmp_path / "a", tmp_path / "b"))


def verdict_of(tmp_path, first: dict, second: dict) -> str:
    """Return what a page says below its verdict, of two runs with these settings and different scores."""
    for name, training, seed in (("a", first, 1), ("b", second, 2)):
        write_segmentation(tmp_path / name, seed, training)
    return words(page_of(tmp_path / "a", tmp_path / "b")).partition("Verdict")[2].partition("Side by side")[0]


def test_a_verdict_of_one_seed_says_so(tmp_path):
    settings = segmentation_settings(seed=7)
    text = verdict_of(tmp_path, settings, {**settings, "lr": 0.123})
    assert "scored higher than" in text or "No difference shown" in text
    assert "one run each (seed 7): another seed may turn it round" in text
    assert "settings differ" not in text
    assert "unequal lengths" not in text
    assert "ahead" not in text


def test_a_verdict_names_what_else_differs_and_unequal_steps(tmp_path):
    settings = segmentation_settings(seed=7, max_steps=300, batch_size=8)
    text = verdict_of(tmp_path, settings, {**settings, "lr": 0.123, "max_steps": 900, "seed": 8})
    assert "2 settings differ (max_steps, lr), so it cannot be put down to one of them." in text
    assert "trained for unequal lengths: a 300 steps of 8 pictures, b 900 steps of 8 pictures." in text
    assert "(seeds 7 and 8)" in text


def test_a_run_that_stopped_early_was_trained_for_less(tmp_path):
    for name, rows in (("a", 3), ("b", 5)):
        settings = segmentation_settings(lr=rows / 100)
        write_run(tmp_path / name, settings, rows)
        write_segmentation(tmp_path / name / "results", rows, settings)
    text = words(page_of(tmp_path / "a", tmp_path / "b"))
    assert "unequal lengths: a 3 epochs, b 5 epochs." in text


def test_the_page_opens_with_what_was_compared_on_which_data(tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        result = write_segmentation(tmp_path / name, seed)
        result["provenance"]["data_set"] = "drawn_pets"
        (tmp_path / name / "evaluation_results.json").write_text(json.dumps(result))
    page = page_of(tmp_path / "a", tmp_path / "b")
    title = "Segmentation: 2 runs compared on 30 images of Test, drawn_pets"
    assert f"<title>{title}</title>" in page
    assert f"<h1>{title}</h1>" in page
    text = words(page)
    assert "Segmentation by a, b Data 30 images of Test, drawn_pets at 64 px, fingerprint dddddddddddd" in text
    assert "Classes 3 classes: background, cat, dog" in text
    result["provenance"] |= {"split": "Val", "data_sha256": "e" * 64}
    (tmp_path / "b/evaluation_results.json").write_text(json.dumps(result))
    page = page_of(tmp_path / "a", tmp_path / "b")
    assert "compared on different data</title>" in page
    assert "30 images of Val, drawn_pets at 64 px, fingerprint eeeeeeeeeeee: b" in words(page)


def test_a_strip_shows_the_same_pictures_of_each_run(tmp_path):
    strips = {"a": write_strip(tmp_path / "a"), "b": write_strip(tmp_path / "b")}
    strips["other"] = write_strip(tmp_path / "other", ("three", "four"))
    strips["cut"] = write_strip(tmp_path / "cut")
    (tmp_path / "cut/figures/strip.png").write_bytes(b"nothing")
    for seed, (name, strip) in enumerate(strips.items()):
        write_segmentation(tmp_path / name, seed, strip=strip)
    page = page_of(*(tmp_path / name for name in strips))
    assert page.count("data:image/webp") == 2 * (2 + 2)
    text = words(page)
    assert "picture truth a b" in text
    assert "2 pictures, spread evenly over Test. Grey: what is not scored. 2 of 4 runs" in text
    assert 'alt="truth of one"' in page


def test_epochs_on_an_axis_are_whole_numbers(tmp_path):
    for name in ("a", "b"):
        write_run(tmp_path / name, segmentation_settings(lr=ord(name) / 100), rows=2)
        write_segmentation(tmp_path / name / "results", 1, segmentation_settings(lr=ord(name) / 100))
    (drawn,) = overlay(find_runs([tmp_path]))
    svg = base64.b64decode(drawn.data.partition(",")[2]).decode()
    ticks = re.findall(r"<!-- ([\d.]+) -->", svg)
    assert "1" in ticks
    assert not {"1.0", "1.2", "1.5"} & {*ticks}


@pytest.mark.parametrize(
    ("chosen_by", "title", "caption"),
    [
        ((None, None), "mean IoU on Val", CHOSE),
        (("mean_foreground_dice",) * 2, "mean foreground Dice on Val", CHOSE),
        (("last", "last"), "mean IoU on Val", "Mean IoU (no score chose the weights, the last were kept)"),
        (
            ("last", "mean_foreground_dice"),
            "mean IoU on Val",
            "Mean IoU (the weights were chosen by nothing in a, mean foreground Dice in b)",
        ),
    ],
)
def test_the_curves_say_what_chose_the_weights(tmp_path, chosen_by, title, caption):
    for place, select in enumerate(chosen_by):
        settings = segmentation_settings(lr=place / 100) | ({"select": select} if select else {})
        write_run(tmp_path / "ab"[place], settings)
        log = tmp_path / "ab"[place] / "training_log.csv"
        head, *rows = log.read_text().splitlines()
        log.write_text("\n".join([f"{head},dice_mean_foreground", *(f"{row},0.5" for row in rows)]))
        write_segmentation(tmp_path / "ab"[place] / "results", 1, settings)
    (drawn,) = overlay(find_runs([tmp_path]))
    assert drawn.caption == f"{caption}, after each row of the training log."
    assert f"<!-- {title} -->" in base64.b64decode(drawn.data.partition(",")[2]).decode()


def test_the_command_trains_with_the_same_settings(tmp_path):
    config = SegmentationConfig(
        width=8, max_steps=50, class_balance=True, freeze=3, encoder_dropout=(0.0, 0.0, 0.0, 0.0, 0.1, 0.2), lr=1e-5
    )
    kept = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    settings = segmentation_settings(**{name: kept[name] for name in segmentation_settings() if name in kept})
    write_run(tmp_path / "my run", settings)
    command = shlex.split(training_command(find_runs([tmp_path])[0]).replace("\\\n", " "))
    assert command[:3] == ["python", "-m", "transfer_learning.train"]
    again = parse(SegmentationConfig, command[3:], "transfer_learning.train", "transfer_learning", "about")
    assert unknown(find_runs([tmp_path])[0]) == []
    assert again == dataclasses.replace(config, data_dir=again.data_dir, output_dir=again.output_dir)
    assert (str(again.data_dir), again.output_dir) == ("data/my pets", tmp_path / "my run")


def test_a_setting_that_the_run_did_not_know_is_named(tmp_path):
    settings = segmentation_settings()
    del settings["memory_format"]
    write_segmentation(tmp_path, training=settings)
    assert "The run kept no value of memory_format:" in page_of(tmp_path)


def test_a_run_folder_and_its_results_become_one(tmp_path):
    settings = segmentation_settings()
    write_run(tmp_path / "runs/scratch", settings)
    write_segmentation(tmp_path / "elsewhere/one", 1, settings)
    write_segmentation(tmp_path / "runs/other/results", 2, segmentation_settings(lr=0.1))
    runs = find_runs([tmp_path / "runs", tmp_path / "elsewhere", tmp_path / "elsewhere/one"])
    assert [run.name for run in runs] == ["scratch", "other"]
    assert runs[0].file == tmp_path / "elsewhere/one/evaluation_results.json"
    inside = find_runs([tmp_path / "runs/other/results"])
    assert (inside[0].name, inside[0].folder) == ("other", None)
    write_run(tmp_path / "runs/other", segmentation_settings(lr=0.1))
    assert find_runs([tmp_path / "runs/other/results"])[0].folder == tmp_path / "runs/other"


def test_a_run_that_got_newer_settings_keeps_its_results(tmp_path):
    settings = {**segmentation_settings(), "kernels": "torch", "warmup_steps": 0}
    older = {name: value for name, value in settings.items() if name not in ("kernels", "warmup_steps")}
    write_run(tmp_path / "older", settings)  # as another call of its command leaves it
    write_segmentation(tmp_path / "older/results", 1, older)
    write_run(tmp_path / "newer", {**settings, "kernels": "own"})
    runs = find_runs([tmp_path])
    assert [(run.name, run.folder, bool(run.file)) for run in runs] == [
        ("newer", tmp_path / "newer", False),
        ("older", tmp_path / "older", True),
    ]


def test_names_tell_runs_apart(tmp_path):
    for place in ("one/seg/results", "two/seg/results", "two/third"):
        write_segmentation(tmp_path / place)
    assert {run.name for run in find_runs([tmp_path])} == {"one/seg", "two/seg", "third"}


def test_a_run_that_was_not_evaluated(tmp_path, capsys):
    write_run(tmp_path / "scratch", segmentation_settings())
    page = page_of(tmp_path / "scratch")
    assert "Not evaluated yet" in page
    assert f"python -m transfer_learning.evaluate --model_path {tmp_path}" in words(page.replace(" \\\n", ""))
    assert "Training curves" in page
    assert "note: scratch was not evaluated yet" in capsys.readouterr().err


def test_a_renamed_json(tmp_path):
    result = write_segmentation(tmp_path)
    (tmp_path / "evaluation_results.json").rename(tmp_path / "scratch.json")
    (tmp_path / "per_image.csv").rename(tmp_path / "scratch_per_image.csv")
    assert f"{result['mean_iou']:.3f}" in page_of(tmp_path / "scratch.json")
    assert find_runs([tmp_path / "scratch.json"])[0].name == "scratch"


def test_pictures_lie_within_the_page_and_missing_ones_are_named(tmp_path, capsys):
    write_picture(tmp_path / "results/figures/good.png")
    good = (tmp_path / "results/figures/good.png").read_bytes()
    (tmp_path / "results/figures/cut.png").write_bytes(good[:60])
    # Pillow calls that a SyntaxError.
    (tmp_path / "results/figures/zeros.png").write_bytes(good[:40] + bytes(len(good)))
    (tmp_path / "results/figures/circle.png").symlink_to("circle.png")
    write_picture(tmp_path / "outside.png")
    names = ("good.png", "cut.png", "zeros.png", "gone.png", "circle.png")
    entries = [{"file": f"figures/{name}", "title": name, "caption": "seen"} for name in names]
    entries.append({"file": "../outside.png", "title": "outside", "caption": ""})
    write_segmentation(tmp_path / "results", figures=entries)
    page = page_of(tmp_path / "results")
    assert page.count('src="data:image/png') == 1
    for message in ("gone.png is missing", "cut.png cannot be read", "outside.png is not a PNG or SVG within"):
        assert message in page
    assert "zeros.png cannot be read" in page
    notes = capsys.readouterr().err
    assert notes.count("note: ") == 5
    assert "gone.png" in notes


def test_names_cannot_become_markup(tmp_path):
    name = "<img src=x>"
    write_segmentation(
        tmp_path / name,
        tags={HOSTILE: {HOSTILE: {"num_images": 1, "mean_iou_true_classes": 0.5, "iou": {}}}},
        figures=[{"file": HOSTILE, "title": HOSTILE, "caption": HOSTILE}],
        latent={HOSTILE: HOSTILE},
    )
    page = page_of(tmp_path / name)
    assert "<img" not in page.replace('<img id="large-image"', "")
    assert "onerror=alert(1)&gt;" in page


def test_equal_inputs_give_equal_pages(tmp_path):
    write_segmentation(tmp_path / "run/results", training=segmentation_settings())
    write_run(tmp_path / "run", segmentation_settings())
    assert page_of(tmp_path / "run") == page_of(tmp_path / "run")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds neither results nor a run"),
        ("{", "is not valid JSON"),
        ("[1]", "is not one of ours"),
        ("{}", "is not a result of the evaluation commands"),
    ],
)
def test_bad_input(tmp_path, capsys, content, message):
    if content is not None:
        (tmp_path / "evaluation_results.json").write_text(content)
    assert report([str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_nothing_named_and_nothing_there(tmp_path, capsys):
    assert report([]) == 2
    assert "name the runs to show" in capsys.readouterr().err
    assert report([str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err
    write_segmentation(tmp_path)
    assert report([str(tmp_path), "--output", str(tmp_path)]) == 2
    assert report([str(tmp_path), "--output", str(tmp_path / "new/page.html")]) == 0
    assert (tmp_path / "new/page.html").is_file()
    assert report([str(tmp_path), "--output", str(tmp_path / "new/page.html")]) == 0
    (tmp_path / "training_log.csv").write_text("epoch")
    for read in ("training_log.csv", "evaluation_results.json"):
        assert report([str(tmp_path), "--output", str(tmp_path / read)]) == 2
        assert "no HTML page: choose another --output" in capsys.readouterr().err
    assert (tmp_path / "training_log.csv").read_text() == "epoch"


@pytest.mark.parametrize(
    ("value", "key", "signed", "shown"),
    [
        (0.69059, "mean_iou", False, "0.691"),
        (0.0, "mean_iou", False, "0.000"),
        (0.000220, "mse", False, "0.00022"),
        (25.329, "psnr", False, "25.33"),
        (-0.0179, "mean_iou", True, "−0.018"),
        (0.0012, "mean_iou", True, "+0.0012"),
    ],
)
def test_numbers(value, key, signed, shown):
    assert number(value, key, signed) == shown


def test_the_latent_space_is_a_table(tmp_path):
    found = {"linear_probe": {"mean": 0.648, "deviation": 0.0127}, "silhouette": 0.01}
    space = {"species": {"chance": 0.678, "trained": found, "random": {}}, "breed": None}
    write_reconstruction(tmp_path / "runs", [20.0, 21.0], latent_space=space)
    text = words(page_of(tmp_path / "runs"))
    assert "species, linear probe 0.648 ± 0.013 – 0.678" in text
    assert "breed, nearest neighbours – – –" in text
    assert "--analyze_latent_space" in text  # the command that evaluates again


@pytest.mark.all
def test_runs_without_results_are_evaluated_first(pets, tmp_path, capsys, monkeypatch):
    flags = "--width 2 --max_steps 2 --val_every 2 --batch_size 4 --amp off --device cpu"
    run = tmp_path / "run"
    assert train([*flags.split(), "--data_dir", str(pets), "--output_dir", str(run)]) == 0
    assert report([str(run), "--data_dir", str(pets)]) == 0
    assert "run was not evaluated yet" in capsys.readouterr().out
    scored = json.loads((run / "results" / "evaluation_results.json").read_text())
    assert scored["provenance"]["split"] == "Test"
    assert "was not evaluated" not in words((run / "report.html").read_text())
    assert report([str(run), "--data_dir", str(pets)]) == 0
    assert "was not evaluated yet" not in capsys.readouterr().out
    assert report([str(run), "--data_dir", str(tmp_path / "nowhere")]) == 0  # nothing is left to evaluate
    (run / "results" / "evaluation_results.json").unlink()
    given = []
    monkeypatch.setattr("transfer_learning.evaluate.main", lambda words: given.extend(words) or 0)
    assert report([str(run), "--data_dir", str(pets), "--allow_seen", "--cache_dir", "kept"]) == 0
    assert {"--allow_seen", "--cache_dir", "kept"} <= {*given}
    monkeypatch.undo()
    assert report([str(run), "--data_dir", str(tmp_path / "nowhere")]) == 1
    assert "could not be evaluated" in capsys.readouterr().err
