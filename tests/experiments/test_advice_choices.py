"""What an advice chooses from masks, time and machine, and the arms that it can try; nothing trains here."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.files import write_json
from experiments.advice.arms import ARMS, chosen_arms
from experiments.advice.choices import (
    ENOUGH_STEPS,
    FEWEST_STEPS,
    FOR_FOLDS,
    LADDER,
    PRETRAINING_RUNS,
    Lengths,
    Sized,
    best_size,
    folds_for,
    lengths,
    runs_of,
    seconds_a_run,
)
from experiments.advice.config import AdviseConfig
from experiments.advice.keeping import RECIPE, Chosen, asked_of, kept_in
from experiments.advice.measuring import FP32, fastest
from experiments.advice.places import Places
from experiments.advice.work import averaged_over

LOOK = Sized(64, 8)


def test_every_fold_has_two_masks():
    assert [folds_for(masks, 0) for masks in (4, 5, 8, 9, 10, 40, 500)] == [2, 2, 4, 4, 5, 5, 5]
    assert folds_for(40, 10) == 10
    with pytest.raises(UserError, match="3 masks are too few to hold any of them out: draw 4 or more"):
        folds_for(3, 0)
    with pytest.raises(UserError, match="--folds 5 leaves fewer than 2 of 8 masks a fold"):
        folds_for(8, 5)


def test_groups_go_as_one():
    assert [folds_for(8, 0, groups) for groups in (2, 3, 4, 8)] == [2, 3, 4, 4]
    assert folds_for(40, 3, 3) == 3
    with pytest.raises(UserError, match="--folds 3 leaves fewer than 2 of 4 masks a fold"):
        folds_for(4, 3, 3)
    with pytest.raises(UserError, match="--folds 4: 3 groups of --group_by have masks, one a fold at most: lower it"):
        folds_for(40, 4, 3)
    with pytest.raises(UserError, match="all masks are of one group of --group_by"):
        folds_for(40, 0, 1)


@given(st.floats(0.01, 100), st.integers(1, 16), st.integers(2, 60), st.booleans())
def test_all_runs_fit_into_their_share_of_the_time(hours, slots, runs, pretrained):
    seconds = seconds_a_run(hours, slots, runs, pretrained)
    rounds = -(-(runs + PRETRAINING_RUNS * pretrained) // slots)
    assert rounds * seconds == pytest.approx(FOR_FOLDS * hours * 3600)


def test_how_many_runs_there_are():
    assert runs_of(arms=3, folds=5) == 3 * 5 + 2 * 5


@given(st.floats(1, 1e5), st.floats(0.001, 1), st.integers(16, 2000))
def test_the_size_is_the_dearest_with_enough_steps(seconds, step, side):
    found = best_size(seconds, step, LOOK, side, None)
    assert (found.size, found.width) in LADDER
    if found != LOOK:
        assert (seconds - 8) / (step * found.cost / LOOK.cost) >= ENOUGH_STEPS
        assert found.size <= max(side, 64)


def test_what_is_given_is_taken():
    assert best_size(1e6, 0.1, LOOK, 1000, None) == Sized(512, 32)
    assert best_size(1e6, 0.1, LOOK, 200, None) == Sized(192, 16)
    assert best_size(1e6, 0.1, LOOK, 1000, Sized(96, 0)) == Sized(96, 32)
    assert best_size(10, 0.1, LOOK, 1000, Sized(256, 16)) == Sized(256, 16)
    assert best_size(10, 0.1, LOOK, 1000, None) == LOOK


def test_an_advice_that_was_refused_for_too_little_time_is_asked_again_with_more(tmp_path):
    little, more = (AdviseConfig(images=Path("photos"), hours=hours) for hours in (0.05, 0.5))
    Chosen(asked_of(little), "listing", 1, 1, Sized(64, 8)).keep(tmp_path)
    assert kept_in(tmp_path, more, "listing") is None
    trained = Chosen(asked_of(little), "listing", 1, 1, Sized(64, 8), Lengths(60.0, {"scratch": 300}, 0), RECIPE)
    trained.keep(tmp_path)
    assert kept_in(tmp_path, little, "listing") == trained
    with pytest.raises(UserError, match=r"other settings \(--hours 0.05 there, 0.5 asked\)"):
        kept_in(tmp_path, more, "listing")


def test_an_advice_of_before_a_setting_was_there_goes_on(tmp_path):
    config = AdviseConfig(images=Path("photos"))
    asked = {name: value for name, value in asked_of(config).items() if name != "batch_size"}
    before = Chosen(asked, "listing", 1, 1, Sized(64, 8), Lengths(60.0, {"scratch": 300}, 0), RECIPE)
    before.keep(tmp_path)
    assert kept_in(tmp_path, config, "listing") == before
    with pytest.raises(UserError, match=r"other settings \(--batch_size 8 there, 16 asked\)"):
        kept_in(tmp_path, AdviseConfig(images=Path("photos"), batch_size=16), "listing")


def test_a_step_that_costs_twice_as_much_is_taken_half_as_often():
    found = lengths(108.0, {"scratch": 0.1, "teacher": 0.2, "phase 1": 0.25}, hours=1.0)
    assert found.steps == {"scratch": 1000, "teacher": 500}
    assert found.pretraining_steps == 400 * PRETRAINING_RUNS


def test_too_little_time_says_how_much_would_do():
    with pytest.raises(
        UserError, match=r"6 min leaves 20 steps for slow, 40 are the least .*: give --hours 0\.17 or"
    ) as error:
        lengths(180.0, {"quick": 0.1, "slow": 0.5}, hours=0.1)
    given = float(str(error.value).split("--hours ")[1].split()[0])
    assert lengths(180.0, {"quick": 0.1, "slow": 0.5}, given).steps["slow"] >= FEWEST_STEPS
    # A tenth of the time was gone before: what is left has to do.
    with pytest.raises(UserError, match=r"give --hours 0\.18 or"):
        lengths(180.0, {"quick": 0.1, "slow": 0.5}, 0.11, gone=0.01)
    with pytest.raises(UserError, match=r"leaves 0 steps for slow.*give --hours 0\.3 or"):
        lengths(180.0, {"slow": 0.5}, 0.1, gone=0.12)


def test_batches_are_as_large_as_asked():
    assert ARMS["imagenet"].in_batches_of(8) is ARMS["imagenet"]
    assert ARMS["imagenet"].in_batches_of(16).settings == {**ARMS["imagenet"].settings, "batch_size": 16}


def names(*asked: str, unlabelled: int = 100, outside: bool = True) -> list[str]:
    return [arm.name for arm in chosen_arms(asked, unlabelled, outside)[0]]


def test_which_arms_are_tried():
    assert names() == ["scratch", "teacher", "imagenet"]
    assert names(outside=False) == ["scratch", "teacher", "pretrained"]
    assert names(unlabelled=0) == ["scratch", "imagenet"]
    assert names("pretrained", "imagenet", "scratch") == ["scratch", "pretrained", "imagenet"]
    assert names("imagenet_frozen") == ["scratch", "imagenet_frozen"]
    assert "imagenet_frozen: --arms names it, beside others or instead of them" in chosen_arms((), 9, True)[1]
    assert "imagenet_frozen: --no_outside_weights" in chosen_arms((), 9, False)[1]
    _, why = chosen_arms((), 0, True)
    assert "teacher: every picture has a mask" in why
    assert any("DINOv2" in line for line in why)


@pytest.mark.parametrize(
    ("asked", "unlabelled", "outside", "message"),
    [
        (("imagnet",), 9, True, "--arms imagnet; did you mean imagenet?"),
        (("imagenet",), 9, False, "--arms imagenet: --no_outside_weights: leave it out"),
        (("teacher",), 0, True, "--arms teacher: every picture has a mask: leave it out"),
        ((), 0, False, "from scratch is all that can be tried"),
        (("scratch",), 9, True, "--arms scratch alone compares nothing: name another of teacher"),
    ],
)
def test_arms_that_cannot_be_are_refused(asked, unlabelled, outside, message):
    with pytest.raises(UserError, match=message):
        chosen_arms(asked, unlabelled, outside)


def test_an_advice_of_an_earlier_version_is_not_gone_on_with(tmp_path):
    asked = AdviseConfig()
    Chosen(asked_of(asked), "listing", 1, 1, Sized(64, 8), Lengths(60.0, {"scratch": 300}, 0), RECIPE - 1).keep(
        tmp_path
    )
    with pytest.raises(UserError, match="begun by a version that trains otherwise: give another --output_dir"):
        kept_in(tmp_path, asked, "listing")


@pytest.mark.parametrize(("steps", "over"), [(10, 2), (92, 9.2), (1000, 100), (9000, 100)])
def test_weights_are_averaged_over_a_tenth_of_the_steps(steps, over):
    assert 1 / (1 - averaged_over(steps)["ema"]) == pytest.approx(over, rel=1e-2)


@pytest.mark.parametrize(("in_fp32", "settings"), [(0.1, FP32), (0.3, {})])
def test_a_librarys_encoder_computes_as_it_is_faster(in_fp32, settings, tmp_path):
    known = {"scratch": 0.1, "teacher": 0.2, "imagenet": 0.2, "imagenet_fp32": in_fp32, "phase 1": 0.4}
    write_json(tmp_path / "speed/64_8.json", known)
    arms = [ARMS["scratch"], ARMS["imagenet"]]
    found, seconds = fastest(Places(tmp_path), tmp_path, arms, Sized(64, 8), 1, 2, 1)
    assert seconds == {"scratch": 0.1, "imagenet": min(0.2, in_fp32)}, "what else was measured has no say"
    assert [arm.name for arm in found] == ["scratch", "imagenet"]
    assert found[0] == arms[0]
    assert found[1].settings == {**arms[1].settings, **settings}
