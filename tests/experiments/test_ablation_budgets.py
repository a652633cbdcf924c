"""What is best within a budget of picture passes, by hand."""

import json

import numpy as np
import pytest
from ablation_samples import STEPS, arm, counts_of, path_of, plan, write
from figure_checks import assert_readable, kept_figures

from core.statistics import holm, two_sided_p
from experiments.ablation.budgets import contests, standings
from experiments.ablation.figures import compute as compute_figure
from experiments.ablation.format import ArmContent
from experiments.ablation.results import read_ablation
from experiments.ablation.statistics import analysed
from experiments.ablation.tables.budgets import standings_table
from experiments.ablation.tables.costs import passes_table
from experiments.tables import main

# 16,000 pictures at 3 passes each, and what a phase 1 of 50,000 adds.
SHORT, LONG, PRETRAINED = 48_000, 96_000, 198_000
ENCODER = {"name": "mask", "settings": {}, "sha256": "e" * 64, "seconds": 60.0, "images": 50_000}
LONGER = {
    "settings": {**STEPS, "max_steps": 2000},
    "compute": {"seconds": 600.0, "images": 32_000, "parameters": 4915907, "device": "cpu"},
}


def of_seeds(variant, val, quality, seeds=(1, 2, 3), **changes):
    return [
        arm(counts_of(quality, 10 * place + seed, 30), variant=variant, seed=seed, val_mean_iou=val, **changes)
        for place, seed in enumerate(seeds)
    ]


def seed_of(content) -> int:
    return content["arm"]["seed"]


def race(folder, **changes):
    """From scratch short and long, one that is good on Test alone, one after a phase 1, and ImageNet's weights."""
    arms = [
        *of_seeds("scratch", 0.50, 0.50),
        *of_seeds("longer", 0.60, 0.55, **LONGER),
        *of_seeds("good_on_test", 0.55, 0.85, **LONGER),
        *of_seeds("mask", 0.70, 0.70, pretraining=ENCODER),
        *of_seeds("imagenet", 0.80, 0.80),
    ]
    variants = {
        "scratch": {},
        "longer": {"control": True, "autoencoder": False, "family": "scratch"},
        "good_on_test": {"control": True, "autoencoder": False},
        "mask": {"tags": ["species tag"]},
        "imagenet": {"outside_weights": True, "autoencoder": False},
    }
    return write(folder, plan(variants, budgets=[SHORT, LONG, PRETRAINED], **changes), arms)


def test_within_a_budget_val_decides_among_all_arms(tmp_path):
    assert main(["--results", str(race(tmp_path, data_note="half a mirror"))]) == 0
    (entry,) = json.loads((tmp_path / "summary.json").read_text())
    assert entry["best_variant"] == "mask"  # after equal steps, as ever
    found = [
        (own["budget"], own["baseline"], own["best_variant"], own["outside_weights"]) for own in entry["equal_compute"]
    ]
    assert found == [
        (SHORT, "scratch", "scratch", False),
        (SHORT, "scratch", "imagenet", True),
        (LONG, "longer", "longer", False),  # a control; better on Val than good_on_test, and worse on Test
        (LONG, "longer", "imagenet", True),
        (PRETRAINED, "longer", "mask", False),
        (PRETRAINED, "longer", "imagenet", True),
    ]
    won = entry["equal_compute"][4]
    of = {
        name: np.mean([a["mean_iou"] for a in map(json.loads, texts)])
        for name in ("longer", "mask")
        if (texts := [path.read_text() for path in sorted((tmp_path / "arms").glob(f"{name}__*"))])
    }
    assert (won["baseline_score"], won["best_score"]) == (pytest.approx(of["longer"]), pytest.approx(of["mask"]))
    assert won["difference"] == pytest.approx(of["mask"] - of["longer"])
    assert won["ci_low"] < won["difference"] < won["ci_high"]
    shorter = "of those from scratch the longest took 96,000 picture passes"
    assert (won["seeds"], won["tags"], won["remark"]) == ([1, 2, 3], ["species tag"], shorter)
    assert not any(shorter in own["remark"] for own in entry["equal_compute"] if own is not won)
    assert won["baseline_compute"] == {"passes": LONG, "phase_1_passes": 0, "multiply_adds": None}
    assert won["best_compute"] == {"passes": PRETRAINED, "phase_1_passes": 150_000, "multiply_adds": None}
    alone = entry["equal_compute"][0]
    assert (alone["difference"], alone["p"], alone["verdict"]) == (0, 1, "from scratch is the best")
    # The fourth and the last ask the same of the same two, which counts once.
    p_values = [own["p"] for own in entry["equal_compute"]]
    assert p_values[3] == p_values[5]
    once = holm(p_values[:5])
    assert [own["p_holm"] for own in entry["equal_compute"]] == pytest.approx([*once, once[3]])
    assert entry["data_note"] == "half a mirror"
    text = (tmp_path / "tables.md").read_text()
    assert text.index("## The best within a budget") < text.index("## 100 % of the labels")
    assert "![Compute](compute.png)" in text
    assert text.count("- All of it is said of these data: half a mirror.") == 2
    assert f"| mask ({PRETRAINED:,}) | species tag |" in text


def test_all_others_stand_beside_the_best_from_scratch(tmp_path):
    analysis = analysed(read_ablation(race(tmp_path)))
    found = {group.variant: (field.budget, difference) for field, group, difference in standings(analysis)}
    assert list(found) == ["scratch", "good_on_test", "mask", "imagenet"]  # longer is what they are compared with
    scores = {group.variant: group.test.mean for group in analysis.groups}
    for name, (budget, difference) in found.items():
        assert (budget, difference.baseline, difference.seeds) == (PRETRAINED, "longer", (1, 2, 3))
        assert difference.value == pytest.approx(scores[name] - scores["longer"])
    table = standings_table(analysis, standings(analysis))
    assert [row[1:3] for row in table.rows][2:] == [["mask (198,000)", "–"], ["imagenet (48,000)", "outside weights"]]


def test_a_budget_one_pass_smaller_leaves_it_out(tmp_path):
    folder = race(tmp_path)
    described = json.loads((folder / "plan.json").read_text())
    write(folder, {**described, "budgets": [SHORT - 1, PRETRAINED - 1]}, [])
    none, most = [contest for contest in contests(analysed(read_ablation(folder), 50)) if not contest.outside_weights]
    assert (none.best, none.baseline, none.verdict) == (None, None, "no arm within the budget")
    assert most.best.variant == "longer"
    assert main(["--results", str(folder)]) == 0
    assert json.loads((folder / "summary.json").read_text())[0]["equal_compute"][0]["best_score"] is None


@pytest.mark.parametrize(("resamples", "verdict"), [(190, "not told apart"), (2000, "ahead")])
def test_verdicts_go_by_the_adjusted_p_value(tmp_path, resamples, verdict):
    """No draw lies beyond 0, which is 2 / (draws + 1), the smallest of five times five: with 190 draws .0524."""
    found = contests(analysed(read_ablation(race(tmp_path)), resamples))
    smallest = 10 / (resamples + 1)
    assert [contest.p for contest in found] == pytest.approx([1, smallest, 1, *[smallest] * 3], abs=1e-5)
    assert [found[place].verdict for place in (1, 3, 4, 5)] == [verdict] * 4
    assert all(found[place].difference.interval[0] > 0 for place in (1, 3, 4, 5))


def test_equals_go_by_the_plans_order_and_one_seed_has_no_verdict(tmp_path):
    arms = [
        *of_seeds("scratch", 0.5, 0.5),
        *of_seeds("first", 0.6, 0.6),
        *of_seeds("second", 0.6, 0.9),
    ]
    names = {"scratch": {}, "first": {}, "second": {}}
    folder = write(tmp_path, plan(names, budgets=[SHORT]), arms)
    (contest,) = contests(analysed(read_ablation(folder), 50))
    assert (contest.best.variant, contest.remarks) == ("first", [])
    alone = write(tmp_path / "alone", plan(names, budgets=[SHORT]), [single for single in arms if seed_of(single) == 2])
    (contest,) = contests(analysed(read_ablation(alone), 50))
    assert (contest.best.variant, contest.p, contest.verdict) == ("first", None, "one seed")
    assert contest.remarks == ["the interval is over images only"]


def test_who_is_best_is_told_over_the_seeds_that_both_have(tmp_path):
    """A seed that is easy for all makes nobody the best, and one that was tried alone does not win."""

    def vals(variant, by_seed, **changes):
        return [one for seed, val in by_seed.items() for one in of_seeds(variant, val, 0.5, seeds=(seed,), **changes)]

    arms = [
        *vals("scratch", {1: 0.40, 2: 0.50, 3: 0.90}),
        *vals("longer", {1: 0.45, 2: 0.55}, **LONGER),  # over its own seeds 0.50, scratch over all three 0.60
        *vals("lucky", {3: 0.99}),
        *vals("mask", {2: 0.60, 3: 0.80}, pretraining=ENCODER),
    ]
    control = {"control": True, "autoencoder": False}
    variants = {"scratch": {}, "longer": control, "lucky": control, "mask": {}}
    folder = write(tmp_path, plan(variants, budgets=[PRETRAINED]), arms)
    (contest,) = contests(analysed(read_ablation(folder), 50))
    assert (contest.baseline.variant, contest.best.variant) == ("longer", "mask")  # on seed 2, which both have
    assert contest.remarks == [
        "only seed 2: 1, 3 not in both; the interval is over images only",
        "of those from scratch the longest took 96,000 picture passes",
        "not chosen among, for their one seed: lucky",
    ]


@pytest.mark.parametrize(
    ("settings", "scratch"),
    [
        ({"unlabelled": "off", "auxiliary": "none"}, True),
        ({"unlabelled": "consistency"}, False),
        ({"auxiliary": "mask_hog"}, False),
    ],
)
def test_what_learns_from_unlabelled_pictures_is_not_from_scratch(tmp_path, settings, scratch):
    arms = [*of_seeds("scratch", 0.5, 0.5), *of_seeds("other", 0.6, 0.7, settings={**STEPS, **settings})]
    folder = write(tmp_path, plan({"scratch": {}, "other": {"autoencoder": False}}, budgets=[SHORT]), arms)
    (contest,) = contests(analysed(read_ablation(folder), 50))
    assert (contest.baseline.variant, contest.best.variant) == ("other" if scratch else "scratch", "other")


def test_passes_of_an_arm_and_of_its_phase_1():
    matrices = counts_of(0.5, 1, 3)

    def content(**changes):
        return ArmContent.model_validate(arm(matrices, variant="a", **changes))

    cost = {"seconds": 1.0, "images": 1000, "passes": 5000, "multiply_adds": 2e9}
    assert content().total_passes() == SHORT
    assert content(compute=cost).total_passes() == 5000
    after = content(compute=cost, pretraining=ENCODER)
    assert [after.total_passes(tasks) for tasks in (1, 5, 20)] == [155_000, 35_000, 12_500]
    assert after.total_multiply_adds is None  # phase 1's are not known
    after = content(compute=cost, pretraining={**ENCODER, "compute": {**cost, "passes": 70_000}})
    assert (after.total_passes(), after.total_multiply_adds) == (75_000, 4e9)
    taught = content(compute=cost, teacher={"variant": "b", "sha256": "c", "passes": 700, "multiply_adds": 1e9})
    assert (taught.total_passes(), taught.total_multiply_adds) == (5700, 3e9)
    assert content(compute=cost, teacher={"variant": "b", "sha256": "c", "passes": 7}).total_multiply_adds is None
    assert content(pretraining={**ENCODER, "images": None}).total_passes() is None


def test_a_phase_1_that_pupil_and_teacher_share_counts_once():
    matrices = counts_of(0.5, 1, 3)
    phase_1 = {"name": "mask", "sha256": "e" * 64, "passes": 192_000, "multiply_adds": 10e12}
    taught = {"variant": "b", "sha256": "c", "passes": 48_000, "multiply_adds": 1e12, "pretrained": [phase_1]}
    began = {"seconds": 60.0, "images": 64_000, "passes": 192_000, "multiply_adds": 10e12}
    encoder = {**ENCODER, "sha256": "e" * 64, "compute": began}
    own = {"seconds": 60.0, "images": 4000, "passes": 32_000, "multiply_adds": 1e12}
    shared = ArmContent.model_validate(
        arm(matrices, variant="a", compute=own, pretraining=encoder, teacher=taught),
    )
    assert [shared.total_passes(tasks) for tasks in (1, 20)] == [272_000, 89_600]
    assert (shared.phase_1_passes, shared.phase_2_passes, shared.total_multiply_adds) == (192_000, 80_000, 12e12)
    other = ArmContent.model_validate(
        arm(matrices, variant="a", compute=own, pretraining={**encoder, "sha256": "f" * 64}, teacher=taught),
    )
    assert (other.total_passes(), other.total_multiply_adds) == (464_000, 22e12)


def test_what_a_phase_1_costs_that_does_not_say_so_is_within_no_budget(tmp_path):
    arms = [*of_seeds("scratch", 0.5, 0.5), *of_seeds("mask", 0.6, 0.7, pretraining={**ENCODER, "images": None})]
    folder = write(tmp_path, plan({"scratch": {}, "mask": {}}, budgets=[10**9]), arms)
    analysis = analysed(read_ablation(folder), 50)
    assert [contest.best.variant for contest in contests(analysis)] == ["scratch"]
    rows = {row[0]: row[1:6] for row in passes_table(analysis).rows}
    assert rows == {"scratch": ["48,000", "–", *["48,000"] * 3], "mask": ["48,000", *["–"] * 4]}


def test_multiply_adds_are_told_in_trillions(tmp_path):
    cost = {"seconds": 1.0, "images": 16000, "passes": SHORT, "parameters": 9, "multiply_adds": 1.2345e13}
    arms = [
        *of_seeds("scratch", 0.5, 0.5, compute=cost),
        *of_seeds("mask", 0.6, 0.7, compute=cost | {"multiply_adds": 2.5e15}),
    ]
    table = passes_table(analysed(read_ablation(write(tmp_path, plan({"scratch": {}, "mask": {}}), arms)), 20))
    assert [row[6] for row in table.rows] == ["12.3", "2,500"]


def test_without_budgets_there_is_nothing_of_it(tmp_path):
    arms = [*of_seeds("scratch", 0.5, 0.5), *of_seeds("mask", 0.6, 0.7)]
    assert main(["--results", str(write(tmp_path, plan({"scratch": {}, "mask": {}}), arms))]) == 0
    assert json.loads((tmp_path / "summary.json").read_text())[0]["equal_compute"] == []
    assert not (tmp_path / "compute.png").exists()
    assert "budget" not in (tmp_path / "tables.md").read_text()


def test_budgets_do_not_free_the_tables_of_equal_steps(tmp_path, capsys):
    folder = race(tmp_path)
    described = json.loads((folder / "plan.json").read_text())
    described["variants"]["longer"]["control"] = False
    write(folder, described, [])
    assert main(["--results", str(folder)]) == 2
    assert "`control: true`" in capsys.readouterr().err


@pytest.mark.parametrize("budgets", [[2, 1], [1, 1], [0], [-5, 5]])
def test_budgets_that_do_not_rise_are_refused(tmp_path, capsys, budgets):
    folder = race(tmp_path)
    write(folder, {**json.loads((folder / "plan.json").read_text()), "budgets": budgets}, [])
    assert main(["--results", str(folder)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "plan.json is damaged" in message
    assert "budgets" in message


def test_arms_of_another_precision_are_refused(tmp_path, capsys):
    arms = [*of_seeds("scratch", 0.5, 0.5), *of_seeds("mask", 0.6, 0.7, seeds=(1,), settings={**STEPS, "amp": "bf16"})]
    before = {name: value for name, value in STEPS.items() if name != "amp"}
    arms[0]["settings"] = before  # when there was no other
    write(tmp_path, plan({"scratch": {}, "mask": {}}), arms)
    assert main(["--results", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "amp bf16 and" in message
    assert str(tmp_path / path_of(arms[-1])) in message
    (tmp_path / path_of(arms[-1])).unlink()
    assert main(["--results", str(tmp_path)]) == 0


def test_masks_of_val_that_select_stand_beside_those_that_are_learned_from(tmp_path):
    few = {"fraction": 0.1, "num_val_labels": 131}
    arms = [
        *of_seeds("scratch", 0.5, 0.5, **few),
        *of_seeds("mask", 0.6, 0.7, **few),
        *of_seeds("unselected", 0.6, 0.7, **{**few, "num_val_labels": 0}),
        *of_seeds("scratch", 0.5, 0.5),
    ]
    variants = {"scratch": {}, "mask": {}, "unselected": {"control": True}}
    assert main(["--results", str(write(tmp_path, plan(variants, budgets=[SHORT]), arms))]) == 0
    text = (tmp_path / "tables.md").read_text()
    assert "## 10 % of the labels (52 + 0 to 131 pictures)" in text
    assert "## 100 % of the labels (522 pictures)" in text
    assert "| 52 + 131 (10 %) | mask | scratch |" in text.replace("**", "")
    assert "| 52 + 0 (10 %) | unselected | scratch |" in text


def test_where_pictures_hold_several_classes_there_is_no_class_to_tell(tmp_path):
    mixed = counts_of(0.5, 1, 6) + 100 * np.eye(3, dtype=int)
    folder = write(tmp_path, plan({"scratch": {}}, budgets=[SHORT]), [arm(mixed, variant="scratch")])
    (measure,) = compute_figure.measures_of(analysed(read_ablation(folder), 20))
    assert measure.title == "mean IoU on Test"


@pytest.fixture
def drawn_race(tmp_path, monkeypatch):
    """The race at two fractions and its compute figure."""
    kept = kept_figures(monkeypatch, compute_figure)
    folder = race(tmp_path)
    few = [
        json.loads(path.read_text()) | {"num_labels": 52, "num_val_labels": 131}
        for path in sorted((folder / "arms").glob("*.json"))
    ]
    few = [{**content, "arm": {**content["arm"], "fraction": 0.1}} for content in few]
    write(folder, json.loads((folder / "plan.json").read_text()), few)
    analysis = analysed(read_ablation(folder), 50)
    compute_figure.save_compute(tmp_path / "compute.png", analysis)
    (figure,) = kept
    return analysis, figure


def test_the_compute_figure_can_be_read(drawn_race):
    analysis, figure = drawn_race
    assert_readable(figure)
    titles = ["52 + 131 labelled pictures (10 %)", "522 labelled pictures (100 %)"]
    assert [axis.get_title() for axis in figure.axes] == [*titles, *titles]
    labels = [figure.axes[place].get_ylabel() for place in (0, 2)]
    assert labels == ["mean IoU on Test", "share of pictures whose class is told"]
    scored, classes_told = (
        {round(float(y), 6) for bars in figure.axes[row].containers for y in bars.lines[0].get_ydata()}
        for row in (1, 3)
    )
    groups = analysis.at(1.0)
    assert scored == {round(group.test.mean, 6) for group in groups}
    assert classes_told == {round(group.one_object.class_accuracy, 6) for group in groups}
    names = [text.get_text().strip() for text in figure.legends[0].get_texts()]
    assert names == [
        "scratch",
        "what good_on_test is",
        "what mask is",
        "what imagenet is (outside weights)",
    ]
    colours = [line.get_color() for line in figure.legends[0].get_lines()]
    assert [colour == compute_figure.GREY for colour in colours] == [False, True, False, False]


def test_points_of_the_compute_figure_stand_at_their_passes_and_hide_none(drawn_race):
    _, figure = drawn_race
    drawn = [bars.lines[0] for bars in figure.axes[1].containers]
    places = [tuple(line.get_xdata()) for line in drawn]
    assert len({place for of_line in places for place in of_line}) == 5, "none hides another"
    near = dict.fromkeys((SHORT, LONG, PRETRAINED), compute_figure.WITHIN**0.5)
    told = [
        tuple(min(near, key=lambda passes, place=place: abs(np.log(place / passes))) for place in of_line)
        for of_line in places
    ]
    lines = dict(zip(told, drawn, strict=True))
    assert lines.keys() == {(SHORT, LONG), (LONG,), (PRETRAINED,), (SHORT,)}
    for of_line, passes in zip(places, told, strict=True):
        assert all(1 / near[one] <= place / one <= near[one] for place, one in zip(of_line, passes, strict=True))
    assert lines[PRETRAINED,].get_xdata() == pytest.approx([PRETRAINED]), "alone it stands where its passes are"
    assert [lines[place].get_linestyle() for place in ((SHORT, LONG), (SHORT,))] == ["-", "--"]
    assert [line.get_xdata()[0] for line in figure.axes[1].lines if len({*line.get_xdata()}) == 1][-3:] == [
        SHORT,
        LONG,
        PRETRAINED,
    ]


def test_p_values_by_hand():
    assert two_sided_p(np.array([1.0, 2.0, 3.0, -1.0])) == pytest.approx(2 * 2 / 5)
    assert two_sided_p(np.array([1.0, 2.0, 3.0, np.nan])) == pytest.approx(2 * 1 / 4)
    assert two_sided_p(-np.ones(999)) == pytest.approx(0.002)
    assert two_sided_p(np.zeros(9)) == 1
    assert two_sided_p(np.array([np.nan])) is None


def test_holm_by_hand():
    # Rising: .005 x 4, .01 x 3, .03 x 2, then .04 x 1, which may not be below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def test_scores_on_a_few_masks_of_val_win_nothing(tmp_path):
    race(tmp_path)
    lucky = of_seeds("few", 0.95, 0.5, settings={**STEPS, "val_labels": 5}, num_val_labels=5)
    for content in lucky:
        (tmp_path / path_of(content)).write_text(json.dumps(content))
    described = json.loads((tmp_path / "plan.json").read_text())
    described["variants"]["few"] = {**described["variants"]["scratch"], "control": True}
    (tmp_path / "plan.json").write_text(json.dumps(described))
    best = {contest.best.variant for contest in contests(analysed(read_ablation(tmp_path)))}
    assert best == {"scratch", "longer", "mask", "imagenet"}
    for content in lucky:
        content["settings"] = STEPS
        (tmp_path / path_of(content)).write_text(json.dumps(content))
    assert "few" in {contest.best.variant for contest in contests(analysed(read_ablation(tmp_path)))}


def test_another_network_wins_with_weights_from_outside_alone(tmp_path):
    race(tmp_path)
    other = {"seconds": 600.0, "images": 16_000, "parameters": 3_784_619, "device": "cpu"}
    for content in of_seeds("larger", 0.95, 0.9, compute=other):
        (tmp_path / path_of(content)).write_text(json.dumps(content))
    described = json.loads((tmp_path / "plan.json").read_text())
    described["variants"]["larger"] = {**described["variants"]["scratch"]}
    (tmp_path / "plan.json").write_text(json.dumps(described))
    analysis = analysed(read_ablation(tmp_path))
    assert [c.best.variant for c in contests(analysis) if not c.outside_weights] == ["scratch", "longer", "mask"]
    described["variants"]["larger"]["outside_weights"] = True
    (tmp_path / "plan.json").write_text(json.dumps(described))
    outside = [c for c in contests(analysed(read_ablation(tmp_path))) if c.outside_weights]
    assert {c.best.variant for c in outside} == {"larger"}
    assert all("another network" in "; ".join(c.remarks) for c in outside)


def test_an_arm_without_the_teacher_that_its_settings_speak_of_is_refused(tmp_path, capsys):
    arms = of_seeds("scratch", 0.5, 0.5) + of_seeds(
        "pupil", 0.6, 0.6, settings={**STEPS, "unlabelled": "self_training"}
    )
    folder = write(tmp_path, plan({"scratch": {}, "pupil": {"control": True}}, budgets=[SHORT]), arms)
    assert main(["--results", str(folder)]) == 2
    assert "settings say unlabelled self_training, and no teacher is named" in capsys.readouterr().err
