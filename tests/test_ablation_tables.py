"""The tables of an ablation, end to end through the command, and the folders that it refuses."""

import csv
import json
import re

import pytest
from ablation_samples import arm, counts_of, path_of, plan, trial, write
from figure_checks import assert_readable
from report_samples import write_segmentation

from experiments.ablation import figure as ablation_figure
from experiments.ablation.public_results import public_results
from experiments.ablation.results import read_ablation
from experiments.ablation.statistics import analysed
from experiments.ablation.table_formats import Table, latex, markdown, signed
from experiments.tables import main

VARIANTS = {
    "scratch": {},
    "plain_frozen": {"pretraining": "plain", "title": "50 % & more_of_it"},
    "mask_all": {"pretraining": "mask"},
    "imagenet": {"outside_weights": True, "autoencoder": False},
}
FRACTIONS = (0.01, 0.1, 1.0)
ENCODER = {"settings": {}, "sha256": "e" * 64, "seconds": 1800.0, "images": 50000, "val_loss": 0.01}
WRITTEN = ("tables.md", "tables.csv", "tables.tex", "summary.json", "label_efficiency.png")


def contents(images: int = 12) -> list[dict]:
    """Arms that get better with labels, mask_all most of the autoencoders, and a grid of rates at one fraction."""
    found = []
    for place, (variant, flags) in enumerate(VARIANTS.items()):
        encoder = {"name": flags["pretraining"], **ENCODER} if "pretraining" in flags else None
        for fraction in FRACTIONS:
            quality = 0.4 + 0.1 * FRACTIONS.index(fraction) + (0, -0.05, 0.1, 0.2)[place]
            for seed in (1, 2, 3):
                matrices = counts_of(quality, 100 * seed + place, images)
                score = {"val_mean_iou": quality + seed / 1000, "pretraining": encoder}
                found.append(arm(matrices, variant=variant, fraction=fraction, seed=seed, **score))
        found += [trial(variant, 0.1, rate, val) for rate, val in ((0.001, 0.41), (0.003, 0.52), (0.01, 0.33))]
    names = ("plain", "mask")
    found += [{"format": "ablation pretraining 1", "name": n, **ENCODER, "data_sha256": "d" * 64} for n in names]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A results folder, read only for the tests."""
    reference = {"variant": "imagenet"}
    place = tmp_path_factory.mktemp("ablation")
    return write(place, plan(VARIANTS, fractions=FRACTIONS, reference=reference), contents())


@pytest.fixture(scope="module")
def tables(folder):
    """The same, with tables."""
    assert main(["--results", str(folder)]) == 0
    return folder


def test_equal_results_give_equal_files(tables):
    first = {name: (tables / name).read_bytes() for name in WRITTEN}
    assert main(["--results", str(tables)]) == 0
    assert {name: (tables / name).read_bytes() for name in WRITTEN} == first


def test_summary(tables):
    entries = json.loads((tables / "summary.json").read_text())
    assert [(entry["fraction"], entry["num_labels"]) for entry in entries] == [(0.01, 5), (0.1, 52), (1.0, 522)]
    keys = "fraction num_labels seeds scratch_mean_iou best_variant best_mean_iou difference ci_low ci_high variants"
    assert all(list(entry) == keys.split() for entry in entries)
    last = entries[-1]
    assert last["best_variant"] == "mask_all"
    assert last["seeds"] == [1, 2, 3]
    assert last["difference"] == pytest.approx(last["best_mean_iou"] - last["scratch_mean_iou"])
    assert last["ci_low"] <= last["difference"] <= last["ci_high"]
    assert [other["variant"] for other in last["variants"]] == ["plain_frozen", "imagenet"]
    scores = [json.loads((tables / f"arms/mask_all__1__seed_{seed}.json").read_text()) for seed in (1, 2, 3)]
    assert last["best_mean_iou"] == pytest.approx(sum(score["mean_iou"] for score in scores) / 3)


def test_csv_says_what_the_summary_says(tables):
    with (tables / "tables.csv").open(newline="") as file:
        rows = {(float(row["fraction"]), row["variant"]): row for row in csv.DictReader(file)}
    assert len(rows) == len(FRACTIONS) * len(VARIANTS)
    for entry in json.loads((tables / "summary.json").read_text()):
        row = rows[entry["fraction"], entry["best_variant"]]
        assert row["best_on_val"] == "True"
        for key, column in (("difference", "difference"), ("ci_low", "ci_low"), ("best_mean_iou", "test_mean_iou")):
            assert float(row[column]) == entry[key]
    assert rows[1.0, "scratch"]["difference"] == ""
    assert rows[0.01, "scratch"]["descriptive_only"] == "True"
    assert rows[1.0, "mask_all"]["pretraining_seconds"] == "1800.0"


def test_markdown_holds_every_table(tables):
    text = (tables / "tables.md").read_text()
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert titles == [
        "The variants",
        *("1 % of the labels (5 pictures)", "10 % of the labels (52 pictures)", "100 % of the labels (522 pictures)"),
        "Differences from the baseline in mean IoU",
        "Label savings",
        "Learning rates tried, and what each gave on Val",
        "Compute of an arm, and of the phase 1 behind it",
        "The public results on the same question",
        "The original's own two tables",
    ]
    assert "| 52 (10 %) | mask_all | 0.410 | 0.520 * | 0.330 | 3 |" in text
    assert "No rates were tried at 1 %, 100 %" in text
    assert "Descriptive only: 5 labels are too few for 3 seeds" in text
    # 36 arms of 321.4 s, 12 runs of 100 s, two encoders of half an hour: 3.21, 0.33 and 1 hour.
    assert "In all 4.5 hours: phase 1 (each once) 1.0 h, learning rates 0.3 h, arms 3.2 h." in text
    widths = {line.count("|") for line in text.split("## Label savings")[1].split("\n\n")[1].splitlines()}
    assert widths == {5}


def test_latex_is_balanced_and_escaped(tables):
    text = (tables / "tables.tex").read_text()
    for kind in ("table", "tabular"):
        assert text.count(rf"\begin{{{kind}}}") == text.count(rf"\end{{{kind}}}") == 10
    bare = re.sub(r"\\[\\{}_%&#$]", "", text)  # escaped characters and line ends do not count
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert re.search(r"[^\\]_", re.sub(r"\\label\{[^}]*\}", "", text)) is None
    assert r"50 \% \& more\_of\_it" in text
    assert not re.search(r"[^\x00-\x7f]", text)  # any engine sets it
    for body in re.findall(r"\\begin\{tabular\}\{@\{\}(.*?)@\{\}\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        columns = len(re.findall("[lrp]", re.sub(r"\{[^}]*\}", "", body[0])))
        rows = [line for line in body[1].splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {columns - 1}


def test_panels_have_the_same_labels_even_where_a_difference_is_missing(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(ablation_figure, "save", lambda figure, path: kept.append(figure))
    matrices = counts_of(0.5, 1, 3)
    arms = [arm(matrices, variant=name, fraction=part) for name, part in (("mask", 0.1), ("mask", 1), ("scratch", 1))]
    analysis = analysed(read_ablation(write(tmp_path, plan({"scratch": {}, "mask": {}}), arms)), 20)
    ablation_figure.save_label_efficiency(tmp_path / "curve.png", analysis)
    left, right = kept[0].axes
    assert left.get_xlim() == right.get_xlim()
    assert left.get_xlim()[0] < 52 < 522 < left.get_xlim()[1]


def test_the_figure_can_be_read(folder, monkeypatch, tmp_path):
    kept = []
    monkeypatch.setattr(ablation_figure, "save", lambda figure, path: kept.append(figure))
    analysis = analysed(read_ablation(folder), 50)
    ablation_figure.save_label_efficiency(tmp_path / "curve.png", analysis)
    assert_readable(kept[0])
    left, right = kept[0].axes
    assert {text.get_text() for text in left.texts} == set(VARIANTS)
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["mask_all", "plain_frozen", "imagenet"]
    assert ablation_figure.emphasised(analysis)[0] == "scratch"


def test_names_of_lines_are_spread_out():
    places = ablation_figure.spread_out([0.5, 0.5, 0.51, 0.9], 0.05)
    assert places == pytest.approx([0.4533333, 0.5033333, 0.5533333, 0.9])


def test_evaluations_in_the_same_folder_get_their_table_too(tmp_path, capsys):
    write(tmp_path, plan({"scratch": {}}), [arm(counts_of(0.5, 1, 3), variant="scratch")])
    write_segmentation(tmp_path / "single")
    assert main(["--results", str(tmp_path)]) == 0
    text = (tmp_path / "tables.md").read_text()
    assert "# Ablation" in text
    assert "| segmentation | images |" in text
    assert text.count("| single |") == 1
    assert "scratch seed" not in text  # an arm is not an evaluation
    assert main(["--results", str(tmp_path / "single")]) == 0
    assert "# Ablation" not in (tmp_path / "single/tables.md").read_text()
    assert not (tmp_path / "single/summary.json").exists()


def test_missing_baseline_and_missing_candidates_leave_nulls(tmp_path):
    matrices = counts_of(0.5, 1, 3)
    arms = [arm(matrices, variant="scratch"), arm(matrices, variant="mask", fraction=0.1)]
    assert main(["--results", str(write(tmp_path, plan({"scratch": {}, "mask": {}}), arms))]) == 0
    small, whole = json.loads((tmp_path / "summary.json").read_text())
    assert (small["scratch_mean_iou"], small["best_variant"], small["difference"]) == (None, "mask", None)
    assert (whole["best_variant"], whole["best_mean_iou"], whole["ci_low"], whole["variants"]) == (None, None, None, [])
    text = (tmp_path / "tables.md").read_text()
    assert "No arm of scratch at 10 %: no difference there." in text
    assert "| **no arm of scratch at this fraction** |" in text
    assert "the rates were set, not chosen" in text


def spoiled(**changes):
    """A second arm with something changed."""
    return lambda matrices: arm(matrices, variant="mask", **changes)


def other_masks(matrices):
    matrices = matrices.copy()
    matrices[0, 0, 0] += 1
    return arm(matrices, variant="mask")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (spoiled(data_sha256="f" * 64), "differently prepared data (ffffffffffff and dddddddddddd)"),
        (spoiled(resolution=256), "was trained at 256 px and"),
        (spoiled(class_names=["background", "dog", "cat"]), "tell other classes apart"),
        (spoiled(num_labels=523), "have 523 and 522 labels at the same fraction"),
        (spoiled(mean_iou=0.99), "states mean IoU 0.9900, its counts give"),
        (spoiled(format="ablation arm 2"), "format: Input should be 'ablation arm 1'"),
        (spoiled(val_mean_iou=None), "val_mean_iou: Input should be a valid number"),
        (spoiled(fraction=1.5), "arm.fraction: Input should be less than or equal to 1"),
        (lambda matrices: arm(matrices[:-1], variant="mask"), "different images (3 and 4, 3 of them common)"),
        (lambda matrices: arm(matrices, variant="unknown"), "'unknown', which"),
        (lambda matrices: spoiled()(matrices) | {"per_image": {f"Pet_{n}": [1] for n in range(4)}}, "9 counts"),
        (other_masks, "scored against other masks"),
    ],
)
def test_what_does_not_belong_together_is_refused_by_name(tmp_path, capsys, make, reason):
    matrices = counts_of(0.5, 1, 4)
    wrong = make(matrices)
    write(tmp_path, plan({"scratch": {}, "mask": {}}), [arm(matrices, variant="scratch"), wrong])
    assert main(["--results", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert reason in message
    assert str(tmp_path / path_of(wrong)) in message
    assert not (tmp_path / "tables.md").exists()


def test_damaged_files_and_unfinished_grids_are_named(tmp_path, capsys):
    matrices = counts_of(0.5, 1, 4)
    write(tmp_path, plan({"scratch": {}}), [])
    assert main(["--results", str(tmp_path)]) == 2
    assert "holds no finished arm yet" in capsys.readouterr().err
    write(tmp_path, plan({"scratch": {}}), [arm(matrices, variant="scratch")])
    cut = tmp_path / "arms/scratch__1__seed_2.json"
    cut.write_text((tmp_path / "arms/scratch__1__seed_1.json").read_text()[:200])
    assert main(["--results", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert str(cut) in message
    assert message.count("\n") == 1
    cut.write_text((tmp_path / "arms/scratch__1__seed_1.json").read_text())
    assert main(["--results", str(tmp_path)]) == 2
    assert "hold the same arm" in capsys.readouterr().err
    cut.unlink()
    (tmp_path / "plan.json").write_text(json.dumps(plan({"mask": {}})))
    assert main(["--results", str(tmp_path)]) == 2
    assert "names 'scratch', which is none of its variants (mask)" in capsys.readouterr().err
    (tmp_path / "plan.json").unlink()
    assert main(["--results", str(tmp_path)]) == 2
    assert "has arms but no plan.json" in capsys.readouterr().err


def test_uneven_effort_and_unchosen_rates_are_told(tmp_path):
    arms = [arm(counts_of(0.5, 1, 4), variant=name, learning_rate=0.003) for name in ("scratch", "mask")]
    trials = [trial("scratch", 1.0, 0.003, 0.5), trial("mask", 1.0, 0.003, 0.5), trial("mask", 1.0, 0.01, 0.6)]
    write(tmp_path, plan({"scratch": {}, "mask": {}}), [*arms, *trials])
    assert main(["--results", str(tmp_path)]) == 0
    text = (tmp_path / "tables.md").read_text()
    assert "Not the same effort: between 1 and 2 runs" in text
    assert "Trained with another rate than the best of their row: mask at 100 %." in text
    write(tmp_path, plan({"scratch": {}, "mask": {}}), [trial("mask", 1.0, 0.01, None)])  # it stopped being finite
    assert main(["--results", str(tmp_path)]) == 0
    text = (tmp_path / "tables.md").read_text()
    assert "| 522 (100 %) | mask | 0.500 * | broke | 2 |" in text
    assert "another rate" not in text


def test_public_results_are_those_reported():
    known = public_results()
    assert [result["difference"] for result in known["results"]] == [-0.36, -0.36, -0.20, -0.12, -0.07]
    for result in known["results"]:
        if result["scratch"] is not None:  # what is cited gives what was reported
            assert round(result["pretrained"] - result["scratch"], 2) == result["difference"]
            assert result["address"].endswith(result["project"])
    assert {entry["split"]: entry["score"] for entry in known["best_scratch"]} == {"Test": 0.77, "Val": 0.80}


def test_a_cell_reads_the_same_in_both_formats():
    table = Table(
        "A_title", ["name", "value"], [["a|b_c", signed(-0.0421)], ["", "±1"]], ["name"], ["100 %"], frozenset({0})
    )
    assert markdown(table).splitlines()[2:6] == [
        "| name | value |",
        "|---|---:|",
        "| **a\\|b_c** | **−0.042** |",
        "|  | ±1 |",
    ]
    assert r"\textbf{a|b\_c} & \textbf{$-$0.042} \\" in latex(table, "x")
    assert r"\begin{tabular}{@{}lr@{}}" in latex(table, "x")
