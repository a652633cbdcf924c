"""Report, tables and ablation for any classes: few and many, with and without a background, with hostile names."""

import csv
import json
import re
import shutil
import tracemalloc

import numpy as np
import pytest
from ablation_samples import CLASSES, arm, arm_of_today, counts_of, plan, whole_grid, write
from report_samples import page_of, write_segmentation

from core.classes import ClassSet
from experiments.ablation import differences
from experiments.ablation.results import read_ablation
from experiments.ablation.statistics import analysed
from experiments.table_formats import Table, latex, markdown_rows
from experiments.tables import main as tables
from transfer_learning.scores.confusion import segmentation_scores

HOSTILE = (
    "mean_iou",
    "loss",
    "=1+1",
    "<script>alert(1)</script>",
    "a,b",
    "a|b",
    "50 % & more_of_it",
    "[x](y)",
    "foreground",
)


def many(count: int, background: int | None = 0) -> ClassSet:
    return ClassSet(tuple(f"class {number}" for number in range(count)), background)


def lines_of(folder) -> list[str]:
    assert tables(["--results", str(folder)]) == 0
    return (folder / "tables.md").read_text().splitlines()


@pytest.mark.parametrize("background", [0, None])
def test_hostile_classes_are_text_on_the_page(tmp_path, background):
    classes = ClassSet(HOSTILE, background)
    tags = {"<b>": {"<i>": {"num_images": 2, "mean_iou_true_classes": 0.5, "iou": dict.fromkeys(HOSTILE, 0.5)}}}
    for name, seed in (("one", 1), ("two", 2)):
        result = write_segmentation(tmp_path / name, seed, classes=classes, tags=tags)
    page = page_of(tmp_path / "one", tmp_path / "two")
    assert not re.search(r"<script|<b>(?=[^F])|<i>", page.replace("<figcaption><b>", ""))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert f"{result['classes']['mean_iou']['iou']:.3f}" in page
    assert page.count('fill="#') >= 2 * len(HOSTILE)
    assert ("mean foreground Dice" in page) == (background is not None)


@pytest.mark.parametrize("count", [2, 11, 25])
def test_few_classes_stand_side_by_side_with_their_colours(tmp_path, count):
    classes = many(count)
    write_segmentation(tmp_path, classes=classes)
    page = page_of(tmp_path)
    assert "predicted class 1" in page
    assert f"All {count} classes" not in page
    colours = re.findall(r'fill="(#\w{6})"', page)
    expected = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in classes.palette]
    assert colours == expected * 2  # the table of classes and the confusion matrix


def test_of_150_classes_the_best_the_worst_and_the_most_confused_stand_out(tmp_path):
    classes = many(150)
    for name, seed in (("one", 1), ("two", 2)):
        result = write_segmentation(tmp_path / name, seed, classes=classes)
    page = page_of(tmp_path / "one", tmp_path / "two")
    assert "All 150 classes of two" in page
    assert "150 classes side by side" in page
    assert "predicted class 1<" not in page
    assert len(page) < 1_000_000
    section = page[page.index('aria-label="Classes of two, the best and the worst"') :]
    shown = re.findall(r"</svg>(class \d+)", section[: section.index("</table>")])
    ranked = sorted(classes.names, key=lambda name: -result["classes"][name]["iou"])
    assert shown == [*ranked[:5], *ranked[-5:]]
    section = page[page.index('aria-label="Confusions of two"') :]
    pairs = re.findall(r"</svg>(class \d+)", section[: section.index("</table>")])
    matrix = np.array(result["confusion_matrix"])
    np.fill_diagonal(matrix, 0)
    true, said = (classes.names.index(name) for name in pairs[:2])
    assert matrix[true, said] == matrix.max()
    assert len(pairs) == 50


def test_tables_never_mix_class_sets(tmp_path):
    for name, classes in (
        ("b", many(3)),
        ("c", many(3)),
        ("d", many(3, None)),
        ("e", ClassSet(HOSTILE)),
        ("f", many(150)),
    ):
        write_segmentation(tmp_path / name, classes=classes)
    lines = lines_of(tmp_path)
    heads = [line for line in lines if line.startswith("| segmentation")]
    assert len(heads) == 4
    assert heads[0].startswith(
        "| segmentation | images | mean IoU | IoU class 0 | IoU class 1 | IoU class 2 | foreground"
    )
    assert "foreground" not in heads[1]
    assert heads[2].count("IoU &lt;script>alert(1)") == 1
    assert r"IoU a\|b" in heads[2]
    assert "IoU class" not in heads[3]
    assert next(line for line in lines if line.startswith("## ")) == "## 3 classes: class 0, class 1, class 2"
    for head in heads:
        row = lines[lines.index(head) + 2]
        assert len(re.split(r"(?<!\\)\|", row)) == len(re.split(r"(?<!\\)\|", head))


def test_rows_of_other_data_or_another_split_are_refused_or_say_so(tmp_path, capsys):
    for name, change in (("a", {}), ("b", {"split": "Val"}), ("c", {"data_sha256": "e" * 64})):
        result = write_segmentation(tmp_path / name)
        result["provenance"].update(change)
        (tmp_path / name / "evaluation_results.json").write_text(json.dumps(result))
    assert tables(["--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said == (
        "error: these results are of several data sets: ddddddd (a), eeeeeee (c). Their scores do not compare: name a "
        "folder with one kind of results, or give --mix, which adds a column that says of which each row is\n"
    )
    assert not (tmp_path / "tables.md").exists()
    shutil.rmtree(tmp_path / "c")
    assert tables(["--results", str(tmp_path)]) == 2
    assert "of several splits: Test (a), Val (b)." in capsys.readouterr().err
    write_segmentation(tmp_path / "c")
    (tmp_path / "c/evaluation_results.json").write_text(json.dumps(result))
    assert tables(["--results", str(tmp_path), "--mix"]) == 0
    head, _, *rows = (tmp_path / "tables.md").read_text().splitlines()
    assert head.startswith("| segmentation | data | split | images |")
    assert [row.split(" | ")[1:3] for row in rows] == [["ddddddd", "Test"], ["ddddddd", "Val"], ["eeeeeee", "Test"]]


@pytest.mark.parametrize("classes", [many(2), many(11), many(150), many(11, None), ClassSet(HOSTILE)], ids=len)
def test_an_ablation_of_any_classes(tmp_path, classes):
    lines = lines_of(whole_grid(tmp_path, 8, classes))
    head = next(line for line in lines if line.startswith("| variant | seeds"))
    shown = len(classes) if len(classes) <= 12 else 0
    assert len(re.split(r"(?<!\\)\|", head)) - 2 == 5 + shown + (len(classes.foreground) > 1) + (
        classes.background is None
    )
    assert not any("Oxford" in line for line in lines)
    with (tmp_path / "tables.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    group = analysed(read_ablation(tmp_path), 5).groups[0]
    assert [float(row[f"test_iou_{name}"]) for name in classes.names] == pytest.approx([*group.classes.values()])
    of_seeds = [counts_of(0.4, 100 * seed, 8, len(classes)).sum(axis=0) for seed in (1, 2, 3)]
    scores = [segmentation_scores(matrix, classes)["classes"][classes.names[1]]["iou"] for matrix in of_seeds]
    assert group.classes[classes.names[1]] == pytest.approx(np.mean(scores))
    tex = (tmp_path / "tables.tex").read_text()
    assert "<script>" not in tex
    assert (r"\textless{}script\textgreater{}alert(1)" in tex) == (classes.names == HOSTILE)


def test_names_in_tables_are_neither_markup_nor_commands_nor_rows():
    name = "*a\n\x1b[2J\\input{x}_%$#&"
    table = Table("t", [name, f"IoU {name}"], [[name, name]], [name])
    tex, marked = latex(table, "x"), markdown_rows(table)
    assert tex.count(r"{*}a \textbackslash{}x1b{[}2J\textbackslash{}input\{x\}\_\%\$\#\&") == 4
    assert len(marked.splitlines()) == 3
    assert "\x1b" not in tex + marked


def test_titles_that_a_spreadsheet_would_compute_are_text(tmp_path):
    arms = [arm(counts_of(0.5, 1, 4), variant="scratch")]
    write(tmp_path, plan({"scratch": {"title": "=HYPERLINK(1)"}}), arms)
    lines_of(tmp_path)
    with (tmp_path / "tables.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["title"] == "'=HYPERLINK(1)"


def mixed(folder, today, **changes):
    first = [arm(counts_of(0.5, seed, 9), variant="scratch", seed=seed) for seed in (1, 2)]
    other = [today(counts_of(0.6, 10 + seed, 9), variant="mask", seed=seed, **changes) for seed in (1, 2)]
    return write(folder, plan({"scratch": {}, "mask": {}}), [*first, *other])


def test_arms_of_both_formats_pair_whatever_the_fingerprint(tmp_path):
    found = [
        analysed(read_ablation(folder), 200).get(1.0, "mask").difference
        for folder in (mixed(tmp_path / "old", arm), mixed(tmp_path / "new", arm_of_today, data_sha256="f" * 64))
    ]
    assert found[0] == found[1]
    assert found[0].value > 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (arm_of_today(counts_of(0.5, 3, 9), variant="mask", seed=3, data_sha256="e" * 64), "differently prepared data"),
        (arm_of_today(counts_of(0.5, 3, 9) + 1, variant="mask", seed=3, data_sha256="f" * 64), "against other masks"),
        (
            arm_of_today(
                counts_of(0.5, 3, 9), ClassSet(CLASSES.names, None), variant="mask", seed=3, data_sha256="f" * 64
            ),
            "tell other classes apart",
        ),
    ],
)
def test_arms_of_both_formats_that_do_not_belong_together(tmp_path, capsys, content, reason):
    folder = write(mixed(tmp_path, arm_of_today, data_sha256="f" * 64), plan({"scratch": {}, "mask": {}}), [content])
    assert tables(["--results", str(folder)]) == 2
    message = capsys.readouterr().err
    assert reason in message
    assert "mask__1__seed_3.json" in message
    assert message.count("\n") == 1


def test_arms_of_150_classes_take_little_memory(tmp_path):
    """Sums of all arms' C x C counts would be 2,000 x 12 x 22,500 numbers: 4 GiB."""
    classes = many(150)
    matrices = [counts_of(0.5 + seed / 50, seed, 200, 150) for seed in range(12)]
    arms = [arm_of_today(m, classes, variant="scratch", seed=seed) for seed, m in enumerate(matrices)]
    ablation = read_ablation(write(tmp_path, plan({"scratch": {}}), arms))
    tracemalloc.start()
    drawn = differences.resampled_mean_iou(ablation, 2000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert drawn.shape == (2000, 12)
    assert peak < 150 * 2**20


def test_drawing_arms_together_or_apart_gives_the_same(tmp_path, monkeypatch):
    ablation = read_ablation(whole_grid(tmp_path, 6, many(11)))
    together = differences.resampled_mean_iou(ablation, 20)
    monkeypatch.setattr(differences, "COLUMNS", 1)
    assert np.array_equal(differences.resampled_mean_iou(ablation, 20), together)
