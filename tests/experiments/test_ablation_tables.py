"""The tables of an ablation, end to end through the command."""

import csv
import json
import re

import pytest
from ablation_samples import FRACTIONS, VARIANTS, arm, counts_of, plan, trial, whole_grid, write
from report_samples import write_segmentation

from experiments.ablation.tables.public_results import public_results
from experiments.table_formats import Table, latex, markdown, signed
from experiments.tables import main

WRITTEN = ("tables.md", "tables.csv", "tables.tex", "summary.json", "label_efficiency.png")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A results folder with its tables, read only for the tests."""
    folder = whole_grid(tmp_path_factory.mktemp("ablation"))
    assert main(["--results", str(folder)]) == 0
    return folder


def test_equal_results_give_equal_files(tables):
    first = {name: (tables / name).read_bytes() for name in WRITTEN}
    assert main(["--results", str(tables)]) == 0
    assert {name: (tables / name).read_bytes() for name in WRITTEN} == first


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
    frozen = rows[0.1, "plain_frozen"]
    told, outline = (float(frozen[f"test_{name}"]) for name in ("class_accuracy", "outline_mean_iou"))
    assert f" | {told:.3f} | {outline:.3f} |" in (tables / "tables.md").read_text()
    assert outline > float(frozen["test_mean_iou"])
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
        "Picture passes of an arm, and of the phase 1 behind it",
        "The public results on the same question",
        "The original's own two tables",
    ]
    assert "| 52 (10 %) | mask_all | 0.410 | 0.520 * | 0.330 | 3 |" in text
    assert "No rates were tried at 1 %, 100 %" in text
    assert "Descriptive only: 5 labels are too few for 3 seeds" in text
    # 36 arms of 321.4 s, two encoders of half an hour, 12 runs of 100 s, of which four (first seed, chosen rate) are
    # arms: 3.21, 1 and 0.22 hours.
    parts = "phase 1 (each once) 1.0 h, learning rates (without the runs that are arms) 0.2 h, arms 3.2 h"
    assert f"In all 4.4 hours: {parts}." in text
    assert "| mask_all | 9 | 4,915,907 | 16,000 | 321 | 49.8 |" in text
    widths = {line.count("|") for line in text.split("## Label savings")[1].split("\n\n")[1].splitlines()}
    assert widths == {5}


def test_latex_is_balanced_and_escaped(tables):
    text = (tables / "tables.tex").read_text()
    for kind in ("table", "tabular"):
        assert text.count(rf"\begin{{{kind}}}") == text.count(rf"\end{{{kind}}}") == 11
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


def test_uneven_effort_and_unchosen_rates_are_told(tmp_path):
    arms = [arm(counts_of(0.5, 1, 4), variant=name, learning_rate=0.003) for name in ("scratch", "mask")]
    trials = [trial("scratch", 1.0, 0.003, 0.5), trial("mask", 1.0, 0.003, 0.5), trial("mask", 1.0, 0.01, 0.6)]
    write(tmp_path, plan({"scratch": {}, "mask": {}}), [*arms, *trials])
    assert main(["--results", str(tmp_path)]) == 0
    text = (tmp_path / "tables.md").read_text()
    assert "Not the same effort: between 1 and 2 runs" in text
    assert "Trained with another rate than the best of their row: mask at 100 %." in text
    assert "a better one may lie beyond: mask at 100 %." in text  # of scratch a single rate was tried: no grid
    write(tmp_path, plan({"scratch": {}, "mask": {}}), [trial("mask", 1.0, 0.01, None)])  # it stopped being finite
    assert main(["--results", str(tmp_path)]) == 0
    text = (tmp_path / "tables.md").read_text()
    assert "| 522 (100 %) | mask | 0.500 * | broke | 2 |" in text
    assert "another rate" not in text
    assert "may lie beyond: mask at 100 %" in text  # it broke above, but nothing was tried below
    write(tmp_path, plan({"scratch": {}, "mask": {}}), [trial("mask", 1.0, 0.001, 0.4)])
    assert main(["--results", str(tmp_path)]) == 0
    assert "may lie beyond" not in (tmp_path / "tables.md").read_text()


def test_every_variant_with_an_arm_or_a_rate_tried_is_told_by_its_kind(tmp_path):
    without = {"autoencoder": False}
    flags = {
        "scratch": ("baseline", {}),
        "mask": ("autoencoder", {}),
        "longer": ("control", {"control": True}),
        "frozen": ("no pretraining", without),
        "imagenet": ("reference", {**without, "outside_weights": True}),
        "tried": ("autoencoder", {}),
        "planned": (None, {}),
    }
    arms = [arm(counts_of(0.5, 1, 4), variant=name) for name in list(flags)[:5]]
    described = plan({name: more for name, (_, more) in flags.items()})
    write(tmp_path, described, [*arms, trial("tried", 1.0, 0.01, 0.6)])
    assert main(["--results", str(tmp_path)]) == 0
    table = (tmp_path / "tables.md").read_text().split("## The variants")[1].split("\n- ")[0]
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines() if line.startswith("|")]
    assert {row[1]: row[3] for row in rows[2:]} == {name: kind for name, (kind, _) in flags.items() if kind}


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
    assert r"\textbf{a\textbar{}b\_c} & \textbf{$-$0.042} \\" in latex(table, "x")
    assert r"\begin{tabular}{@{}lr@{}}" in latex(table, "x")
