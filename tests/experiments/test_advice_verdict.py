"""What an advice says in plain words: every kind of outcome, and the same as JSON."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from fold_counts import counts_like, hit_rate

from core.classes import ClassSet
from experiments.advice.answer.held_back import sentence
from experiments.advice.answer.verdict import Asked, action, content_of, forecast_lines, sentences
from experiments.advice.arms import ARMS
from experiments.advice.evidence.forecast import Curves, Slope
from experiments.advice.evidence.reading import Found, Measure, found_in
from experiments.advice.evidence.weighing import PROBABLY, Prior
from experiments.evaluations import Evaluation

LESIONS = ClassSet(("background", "lesion"))
ASKED = Asked(masks=40, more=40, goal=None, minutes=2.0)
CURVES = Curves(Slope(labels=32, score=0.72, score_error=1e-3, exponent=0.3, error=1e-3, folds=5))


class HitRate(Measure):
    """Dice in name alone: folds with given rates have it."""

    def __call__(self, counts: np.ndarray) -> float:
        return hit_rate(counts)


def found_of(priors: dict[str, Prior] | None = None, **folds: list[float]) -> Found:
    """Return what folds with these scores say, from scratch first."""
    counts = {name: counts_like(scores) for name, scores in folds.items()}
    measure = HitRate("mean_foreground_dice", "Dice", LESIONS)
    return found_in(counts, [ARMS[name] for name in folds], 32, measure, priors or {})


BETTER = found_of(scratch=[0.50, 0.52, 0.48, 0.51], imagenet=[0.70, 0.73, 0.69, 0.70])
UNSURE = found_of(scratch=[0.50, 0.62, 0.48, 0.51], teacher=[0.60, 0.53, 0.59, 0.50])
TEACHER = {"scratch": [0.50, 0.62, 0.48, 0.51], "teacher": [0.60, 0.53, 0.59, 0.50]}
ELSEWHERE = found_of(priors={"teacher": Prior(0.1, 0.05, 4)}, **TEACHER)
NOWHERE = found_of(priors={"teacher": Prior(-0.1, 0.05, 4)}, **TEACHER)
DOUBTED = found_of(priors={"teacher": Prior(-0.001, 0.05, 4)}, **TEACHER)
NEARLY_SURE = {"scratch": [0.50, 0.50, 0.48, 0.51, 0.50], "teacher": [0.60, 0.57, 0.62, 0.52, 0.60]}
PERSUADED = found_of(priors={"teacher": Prior(-0.01, 0.05, 4)}, **NEARLY_SURE)
SAME = found_of(scratch=[0.60, 0.62, 0.58, 0.61], teacher=[0.59, 0.63, 0.57, 0.60])
WORSE = found_of(scratch=[0.60, 0.62, 0.58, 0.61], teacher=[0.40, 0.42, 0.38, 0.42])
BOTH = found_of(scratch=[0.5, 0.52, 0.48, 0.51], teacher=[0.7, 0.73, 0.69, 0.70], imagenet=[0.75, 0.73, 0.70, 0.73])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (BETTER, "Do: ImageNet's weights."),
        (
            UNSURE,
            "Cannot tell: a mean teacher on your pictures without masks is likelier ahead than not (54%), but ",
        ),
        (ELSEWHERE, "Do: a mean teacher on your pictures without masks, probably; your 40 masks alone do "),
        (
            DOUBTED,
            "Do: train from scratch, the plainest: a mean teacher on your pictures without masks was not ahead of ",
        ),
        (PERSUADED, "Do: a mean teacher on your pictures without masks"),
        (NOWHERE, "Do: train from scratch; nothing that was tried is told to be ahead of it"),
        (SAME, "Do: train from scratch; nothing that was tried is told to be ahead of it"),
        (WORSE, "Do: train from scratch."),
        (BOTH, "Do: ImageNet's weights, which is ahead of scratch; it is not told apart from every other way."),
    ],
)
def test_what_to_do(found, said):
    assert action(found, ASKED).startswith(said)


def test_a_way_that_was_not_ahead_elsewhere_must_be_probably_ahead():
    assert DOUBTED.compared[1].ahead > 0
    assert "with your masks it is with a chance of 5" in action(DOUBTED, ASKED)
    assert DOUBTED.expected == DOUBTED.compared[0].score.value
    assert PERSUADED.compared[1].weighed.chance > PROBABLY
    unknown = found_of(**TEACHER)
    assert unknown.best.arm.name == "teacher", "of which nothing is known: as likely ahead as behind"


def test_a_way_that_is_told_apart_is_not_left_for_one_that_is_not():
    found = found_of(
        priors={"teacher": Prior(0.0, 0.03, 4), "imagenet": Prior(0.07, 0.09, 4)},
        scratch=[0.50, 0.51, 0.49, 0.50, 0.50],
        teacher=[0.60, 0.61, 0.59, 0.61, 0.60],
        imagenet=[0.20, 0.70, 0.10, 0.60, 0.30],
    )
    assert found.best.arm.name == "teacher"
    assert action(found, ASKED).startswith(
        "Do: a mean teacher on your pictures without masks, which is ahead of scratch"
    )


def test_one_way_that_is_told_worse_tells_nothing_of_another():
    noisy = found_of(scratch=[0.5, 0.51, 0.49], teacher=[0.3, 0.31, 0.29], imagenet=[0.2, 0.8, 0.49])
    assert action(noisy, ASKED).startswith("Do: train from scratch; nothing that was tried is told to be ahead of it")


def test_no_chance_is_whole_and_no_score_above_one():
    sure = found_of(priors={"imagenet": Prior(0.3, 0.01, 4)}, scratch=[0.9, 0.95], imagenet=[0.92, 0.96])
    assert action(sure, ASKED).endswith("with what it brought elsewhere it is ahead with a chance of more than 99%.")
    assert sure.expected == 1.0
    assert "; no public data set tells what to expect, so that it counts as " in sentences(UNSURE, CURVES, ASKED)[1]


def test_whether_to_draw_more_masks_is_said_behind_what_to_do():
    assert sentences(BETTER, CURVES, ASKED)[-1] == (
        "Do: ImageNet's weights. Then draw 40 more masks, of the most doubtful pictures first."
    )
    unsure = Curves(replace(CURVES.slope, error=0.5))
    assert sentences(BETTER, unsure, ASKED)[-1].endswith(" Whether 40 more masks would help, your masks do not tell.")
    assert sentences(BETTER, "cannot forecast: why", ASKED)[-1] == "Do: ImageNet's weights."


def test_next_to_nothing_has_no_minus():
    assert "masks: +0.00 (-0.03 to +0.02), not told" in sentences(SAME, CURVES, ASKED)[1]


def test_a_limit_that_tells_is_no_zero():
    barely = found_of(scratch=[0.6, 0.62, 0.58, 0.61, 0.6], teacher=[0.59, 0.59, 0.562, 0.58, 0.59])
    assert -0.005 < barely.compared[1].difference.high < 0
    assert re.match(r".*: -0\.020 \(-0\.03\d to -0\.00[1-4]\); no public", sentences(barely, CURVES, ASKED)[1])


def test_every_way_is_said_beside_scratch():
    lines = sentences(BOTH, CURVES, ASKED)
    assert lines[0].startswith("With 32 masks, from scratch: Dice 0.50 (0.4")
    assert any(line.startswith("ImageNet's weights: +0.22 (+0.") for line in lines)
    assert f"Of ImageNet's weights expect {BOTH.expected:.2f}: the highest of several flatters itself." in lines
    assert 0.65 < BOTH.expected < 0.7275, "between scratch and its own score"
    assert not any("flatters" in line for line in sentences(SAME, CURVES, ASKED)), "nothing was chosen for its score"
    assert ", not told apart from scratch; no public" in sentences(UNSURE, CURVES, ASKED)[1]
    weighed = ELSEWHERE.best.weighed
    low, high = (weighed.value + 1.96 * sign * weighed.spread for sign in (-1, 1))
    said = f"apart from scratch; weighed with 4 public data sets {weighed.value:+.2f} ({low:+.2f} to {high:+.2f})."
    assert sentences(ELSEWHERE, CURVES, ASKED)[1].endswith(said.replace("-0.00", "+0.00"))


def test_more_masks_are_forecast_with_what_they_cost():
    (line,) = forecast_lines(CURVES, ASKED, BETTER)
    assert line.startswith("40 more masks: about +0.0")
    assert line.endswith("some 80 minutes of drawing at 2 minutes each.")
    (line,) = forecast_lines(CURVES, Asked(40, 1000, None, 6.0), BETTER)
    assert line.startswith("88 more masks (of 1000; a forecast goes no farther): about"), (
        "at most to four times the labels of the folds, 128"
    )
    assert "8.8 hours" in line
    gain = CURVES.gain(40, 40)[0]
    assert content_of(BETTER, CURVES, ASKED)["forecast"]["gain"] == gain, (
        "from the masks there are, not those of a fold"
    )
    assert forecast_lines("cannot forecast: why", ASKED, BETTER) == ["More masks: cannot forecast: why."]


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        (0.5, "Dice 0.5 is reached with the masks that there are."),
        (0.78, "Dice 0.78: about "),
        (0.99, "Dice 0.99: more than 88 more masks, farther than a forecast goes."),
    ],
)
def test_a_goal_is_answered(goal, said):
    *_, line = forecast_lines(CURVES, Asked(40, 40, goal, 2.0), BETTER)
    assert line.startswith(said)


def test_a_goal_that_is_only_perhaps_near_is_answered_so():
    unsure = Curves(Slope(labels=32, score=0.7, score_error=0.08, exponent=0.0, error=0.01, folds=5))
    _, line = forecast_lines(unsure, Asked(40, 40, 0.8, 2.0), BETTER)
    assert line.startswith("Dice 0.8: perhaps with the masks that there are, more likely more than 88 more masks")


def test_the_json_says_the_same():
    content = json.loads(json.dumps(content_of(BOTH, CURVES, Asked(40, 40, 0.78, 2.0))))
    assert content["best"] == "imagenet"
    assert content["arms"]["imagenet"]["outside_weights"]
    assert content["arms"]["scratch"]["difference"] is None
    assert content["arms"]["teacher"]["difference"]["value"] == pytest.approx(0.2025)
    assert content["forecast"]["low"] <= content["forecast"]["gain"] <= content["forecast"]["high"]
    assert content["says"] == sentences(BOTH, CURVES, Asked(40, 40, 0.78, 2.0))
    gaps = found_of(scratch=[0.5, np.nan, 0.4], teacher=[0.5, 0.6, 0.4])
    assert content_of(gaps, "cannot forecast", ASKED)["arms"]["scratch"]["folds"] == [0.5, None, 0.4]


@pytest.mark.parametrize(
    ("value", "limits", "said"),
    [
        (0.8123, [0.7612, 0.8449], "Dice 0.81 (0.76 to 0.84)."),
        (0.8123, None, "Dice 0.81."),
        (None, None, "nothing to score, neither masks nor predictions show anything but background."),
    ],
)
def test_the_one_score_on_test(value, limits, said):
    intervals = {"mean_foreground_dice": limits} if limits else {}
    found = Evaluation(
        phase="transfer_learning",
        num_images=6,
        scores={"mean_iou": 0.5, "mean_foreground_dice": value},
        intervals=intervals,
    )
    line = sentence(found, "mean_foreground_dice", "Dice")
    assert line == f"The final model on the 6 pictures of Test, which nothing of this has looked at: {said}"


def test_the_score_goes_by_the_classes():
    assert Measure.of(LESIONS).title == "Dice"
    pets = Measure.of(ClassSet(("background", "cat", "dog")))
    assert (pets.name, pets.title) == ("mean_foreground_dice", "mean Dice")
    # Dice 2 x 3 / (4 + 5) and 2 x 1 / (2 + 2); without pixels of either class there is none.
    assert pets(np.array([[9, 10, 9], [3, 4, 5], [1, 2, 2]])) == pytest.approx((6 / 9 + 2 / 4) / 2)
    assert np.isnan(pets(np.array([[9, 9, 9], [0, 0, 0], [0, 0, 0]])))
    assert Measure.of(ClassSet(("sky", "road"), background=None)).name == "mean_iou"
