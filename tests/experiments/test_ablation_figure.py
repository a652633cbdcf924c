"""The figures of an ablation: what they show, and that it can be read."""

import pytest
from ablation_samples import VARIANTS, arm, counts_of, plan, whole_grid, write
from figure_checks import assert_readable

from experiments.ablation import pretraining_length
from experiments.ablation.figures import label_efficiency as ablation_figure
from experiments.ablation.results import read_ablation
from experiments.ablation.statistics import analysed
from experiments.tables import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A results folder, read only for the tests."""
    return whole_grid(tmp_path_factory.mktemp("ablation"))


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
    assert next(iter(ablation_figure.emphasised(analysis))) == "scratch"


@pytest.mark.parametrize("fractions", [[1], [0.1, 1]])
def test_without_a_difference_there_is_no_panel_for_it(tmp_path, monkeypatch, fractions):
    kept = []
    monkeypatch.setattr(ablation_figure, "save", lambda figure, path: kept.append(figure))
    arms = [arm(counts_of(0.5, 1, 3), variant="longer", fraction=part) for part in fractions]
    described = plan({"scratch": {}, "longer": {"control": True, "autoencoder": False}})
    analysis = analysed(read_ablation(write(tmp_path, described, arms)), 20)
    ablation_figure.save_label_efficiency(tmp_path / "curve.png", analysis)
    assert_readable(kept[0])
    (scores,) = kept[0].axes
    assert "Scores" in scores.get_title()


def test_the_original_setting_is_drawn_out_under_any_name(tmp_path):
    before = {"settings": {"skips": "all"}, "sha256": "e" * 64, "seconds": 1.0, "images": 100}
    arms = []
    for name, settings, changes in (
        ("scratch", {}, {}),
        ("frozen_masked", {"freeze": "always"}, {"pretext": "mask"}),
        ("probe", {"freeze": "always", "decoder": "linear"}, {}),
        ("copier", {"freeze": "always"}, {}),
    ):
        encoder = {"name": name, **before, "settings": {"skips": "all", **changes}} if name != "scratch" else None
        content = arm(counts_of(0.5, 1, 3), variant=name, pretraining=encoder)
        arms.append({**content, "settings": {**content["settings"], **settings}})
    names = ("scratch", "frozen_masked", "probe", "copier")
    flags = {name: {"control": True} if name in names[1:3] else {} for name in names}
    flags["copier"] = {"autoencoder": False}  # so that it is not the best
    analysis = analysed(read_ablation(write(tmp_path, plan(flags), arms)), 20)
    assert list(ablation_figure.emphasised(analysis)) == ["scratch", "copier"]


def test_of_several_with_outside_weights_the_best_on_val_is_drawn_out(tmp_path):
    vals = {"scratch": 0.5, "weak": 0.7, "strong": 0.8, "lucky": 0.85, "never_best": 0.9}
    arms = [
        arm(counts_of(0.5, seed, 3), variant=name, val_mean_iou=val, seed=seed)
        for name, val in vals.items()
        for seed in (1, 2)[: 1 if name == "lucky" else 2]
    ]
    early = [arm(counts_of(0.5, 1, 3), variant="weak", fraction=0.1, val_mean_iou=0.95)]  # fewer labels do not decide
    flags = {name: {"outside_weights": name != "scratch", "control": name == "never_best"} for name in vals}
    analysis = analysed(read_ablation(write(tmp_path, plan(flags), arms + early)), 20)
    assert list(ablation_figure.emphasised(analysis)) == ["scratch", "strong"]


def test_a_role_has_the_same_colour_and_marker_whichever_others_there_are(folder, tmp_path):
    whole = ablation_figure.emphasised(analysed(read_ablation(folder), 20))
    arms = [arm(counts_of(0.5, 1, 3), variant=name) for name in ("scratch", "imagenet")]
    few = {"scratch": {}, "imagenet": VARIANTS["imagenet"]}
    alone = ablation_figure.emphasised(analysed(read_ablation(write(tmp_path, plan(few), arms)), 20))
    assert list(alone) == ["scratch", "imagenet"]
    assert alone.items() <= whole.items()


def test_what_is_compared_with_another_baseline_has_no_place_over_this_zero(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(ablation_figure, "save", lambda figure, path: kept.append(figure))
    arms = [arm(counts_of(0.5, 1, 3), variant=name) for name in ("scratch", "mask", "other", "imagenet")]
    flags = {"scratch": {}, "mask": {}, "other": {"control": True}}
    flags["imagenet"] = {"outside_weights": True, "autoencoder": False, "baseline": "other"}
    analysis = analysed(read_ablation(write(tmp_path, plan(flags), arms)), 20)
    ablation_figure.save_label_efficiency(tmp_path / "curve.png", analysis)
    left, right = kept[0].axes
    assert [text.get_text() for text in left.get_yticklabels()] == [f"what {name} is" for name in flags]
    assert len(left.containers) == 4
    assert [bar.lines[0].get_ydata()[0] for bar in right.containers] == [1, 2]  # the rows of mask and other


def test_one_number_of_labels_has_a_row_a_variant_and_can_be_read(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(ablation_figure, "save", lambda figure, path: kept.append(figure))
    title = "Masked, oriented gradients, all skips, encoder and decoder fine-tuned"
    names = {"scratch": {}, "mask": {"title": title}, "other": {"title": title}}
    arms = [arm(counts_of(0.5, seed, 3), variant=name, seed=seed) for name in names for seed in (1, 2)]
    analysis = analysed(read_ablation(write(tmp_path, plan(names), arms)), 20)
    ablation_figure.save_label_efficiency(tmp_path / "rows.png", analysis)
    assert_readable(kept[0])
    left, right = kept[0].axes
    assert left.get_ylim() == right.get_ylim()
    assert left.get_position().width > 0.35  # of the figure, whatever the titles
    assert left.get_title().endswith("522 labelled pictures")


def test_names_of_lines_are_spread_out():
    places = ablation_figure.spread_out([0.5, 0.5, 0.51, 0.9], 0.05)
    assert places == pytest.approx([0.4533333, 0.5033333, 0.5533333, 0.9])


def length_grid(folder, **changed):
    """Masked pretrainings of three lengths, and one with another mask; scratch and a control that was frozen."""
    lengths = {"mask_short": 1000, "mask_long": 16000, "mask_middle": 4000}
    variants = {name: {"pretraining": name, "settings": {"transfer": "all"}} for name in lengths}
    variants |= {"wider_mask": {"pretraining": "wider_mask", "settings": {"transfer": "all"}}}
    arms = []
    for fraction in (0.1, 1.0):
        for seed in (1, 2):
            arms.append(arm(counts_of(0.4 + fraction / 10, seed, 5), variant="scratch", fraction=fraction, seed=seed))
            for name in variants:
                settings = {"mask_ratio": 0.6 if name in lengths else 0.7, "max_steps": lengths.get(name, 2000)}
                settings |= changed if name == "mask_long" else {}
                images = 8 * settings["max_steps"]
                encoder = {"name": name, "settings": settings, "sha256": "e" * 64, "seconds": 60.0, "images": images}
                matrices = counts_of(0.3 + settings["max_steps"] ** 0.2 / 30 + fraction / 10, 50 + seed, 5)
                score = {"variant": name, "fraction": fraction, "seed": seed, "pretraining": encoder}
                arms.append(arm(matrices, **score))
    return write(folder, plan({"scratch": {}, "random_frozen": {"settings": {"freeze": "always"}}, **variants}), arms)


def test_lengths_of_phase_1_have_a_table_and_a_figure(tmp_path, monkeypatch):
    folder = length_grid(tmp_path)
    assert main(["--results", str(folder)]) == 0
    assert (folder / "pretraining_length.png").stat().st_size > 5000
    text = (folder / "tables.md").read_text()
    assert "![Pretraining length](pretraining_length.png)" in text
    rows = [line.split(" | ") for line in text.split("## Pretraining length")[1].split("\n\n")[1].splitlines()[2:]]
    steps = [("scratch", "0"), ("mask_short", "8,000"), ("mask_middle", "32,000"), ("mask_long", "128,000")]
    assert [(row[1], row[4]) for row in rows] == 2 * steps
    kept = []
    monkeypatch.setattr(pretraining_length, "save", lambda figure, path: kept.append(figure))
    curves = pretraining_length.length_curves(analysed(read_ablation(folder), 20))
    pretraining_length.save_pretraining_length(tmp_path / "lengths.png", curves)
    assert_readable(kept[0])
    assert [text.get_text() for text in kept[0].legends[0].get_texts()] == ["10 %", "100 %"]


def test_pretrainings_that_differ_in_more_have_none(tmp_path):
    folder = length_grid(tmp_path / "lr", lr=0.1)  # the two others are left
    curves = pretraining_length.length_curves(analysed(read_ablation(folder), 20))
    assert [[point.steps for point in curve.points] for curve in curves] == 2 * [[1000, 4000]]
    # A setting at its default is none that differs, though an older version of the others did not have it.
    folder = length_grid(tmp_path / "sparse", sparse=False, memory_format="contiguous")
    curves = pretraining_length.length_curves(analysed(read_ablation(folder), 20))
    assert [[point.steps for point in curve.points] for curve in curves] == 2 * [[1000, 4000, 16000]]
    folder = whole_grid(tmp_path / "none")
    assert main(["--results", str(folder)]) == 0
    assert not (folder / "pretraining_length.png").exists()
    assert "## Pretraining length" not in (folder / "tables.md").read_text()
