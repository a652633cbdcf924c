"""The advice in plain words, and the same as JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from experiments.advice.evidence.estimates import Estimate
from experiments.advice.evidence.forecast import Curves
from experiments.advice.evidence.reading import Compared, Found
from experiments.advice.evidence.weighing import PROBABLY, Weighed

ALMOST = 0.99


@dataclass(frozen=True)
class Asked:
    """What the user wants to know besides.

    Args:
        masks: that there are.
        more: masks whose gain is forecast.
        goal: the score that is wanted; None: none.
        minutes: that drawing a mask takes.
    """

    masks: int
    more: int
    goal: float | None
    minutes: float


def sentences(found: Found, curves: Curves | str, asked: Asked) -> list[str]:
    """Return the advice, a sentence or two a line."""
    scratch, *others = found.compared
    title = found.measure.title
    lines = [f"With {found.labels:.0f} masks, from scratch: {title} {_said(scratch.score)}."]
    lines += [f"{one.arm.title[0].upper()}{one.arm.title[1:]}: {_change(one)}." for one in others]
    if found.best is not scratch:
        flatters = len(others) > 1 and found.expected < found.best.score.value
        why = ": the highest of several flatters itself" if flatters else ", weighed likewise"
        lines.append(f"Of {found.best.arm.title} expect {found.expected:.2f}{why}.")
    return [*lines, *forecast_lines(curves, asked, found), action(found, asked) + labelling(curves, asked)]


def action(found: Found, asked: Asked) -> str:
    """Return what to do, in a sentence."""
    best = found.best
    what = best.arm.title
    if not best.weighed:
        return f"Do: train from scratch{_beside_scratch(found)}"
    if best.difference and best.difference.tells > 0:
        apart = "" if found.told_apart else ", which is ahead of scratch; it is not told apart from every other way"
        return f"Do: {what}{apart}."
    chance = _chance(best)
    unsure = f"your {asked.masks} masks alone do not tell it apart from scratch"
    if best.weighed.chance >= PROBABLY:
        with_others = "with what it brought elsewhere " if best.weighed.data_sets else ""
        return f"Do: {what}, probably; {unsure}, {with_others}it is ahead with a chance of {chance}."
    return (
        f"Cannot tell: {what} is likelier ahead than not ({chance}), but {unsure}. It is what the final model takes; "
        "more masks would say more."
    )


def labelling(curves: Curves | str, asked: Asked) -> str:
    """Return whether to draw more masks, to be said behind what to do; nothing where that cannot be forecast."""
    if isinstance(curves, str):
        return ""
    more = _farthest(curves, asked)
    _, low, _ = curves.gain(asked.masks, more)
    if low > 0:
        return f" Then draw {more} more masks, of the most doubtful pictures first."
    return f" Whether {more} more masks would help, your masks do not tell."


def _beside_scratch(found: Found) -> str:
    """Return what is said where nothing is preferred to training from scratch."""
    if found.told_apart:
        return "."
    likeliest = max(found.compared[1:], key=lambda one: one.ahead)
    if likeliest.ahead <= 0:
        return "; nothing that was tried is told to be ahead of it, the plainest."
    return (
        f", the plainest: {likeliest.arm.title} was not ahead of it on public data sets, and with your masks it is "
        f"with a chance of {_chance(likeliest)} only."
    )


def _chance(one: Compared) -> str:
    assert one.weighed, "of all but the first"
    return f"{one.weighed.chance:.0%}" if one.weighed.chance < ALMOST else f"more than {ALMOST:.0%}"


def forecast_lines(curves: Curves | str, asked: Asked, found: Found) -> list[str]:
    """Return what more masks would bring, or why that cannot be said."""
    if isinstance(curves, str):
        return [f"More masks: {curves}."]
    lines = []
    more = _farthest(curves, asked)
    median, low, high = curves.gain(asked.masks, more)
    hours = duration_of(more * asked.minutes)
    forecast = f"about {_signed(median)} (forecast {_signed(low)} to {_signed(high)})"
    short = f" (of {asked.more}; a forecast goes no farther)" if more < asked.more else ""
    lines.append(f"{more} more masks{short}: {forecast}, some {hours} of drawing at {asked.minutes:g} minutes each.")
    if asked.goal is not None:
        lines.append(_of_goal(curves, asked, found.measure.title))
    return lines


def _farthest(curves: Curves, asked: Asked) -> int:
    """Return how many more masks the forecast is for: those asked, no more than it may go."""
    return max(1, min(asked.more, int(curves.most) - asked.masks))


def _of_goal(curves: Curves, asked: Asked, title: str) -> str:
    assert asked.goal is not None
    start = asked.masks
    median, hopeful, cautious = curves.labels_for(asked.goal, start)
    far = f"more than {int(curves.most) - start} more masks, farther than a forecast goes"
    if median is None and hopeful is not None:
        best = "perhaps with the masks that there are" if hopeful <= start else f"at best {hopeful - start} more masks"
        return f"{title} {asked.goal:g}: {best}, more likely {far}."
    if median is None:
        return f"{title} {asked.goal:g}: {far}."
    if median <= start:
        return f"{title} {asked.goal:g} is reached with the masks that there are."
    upper = str(cautious - start) if cautious else "many more"
    lower = max(0, (hopeful or median) - start)
    return f"{title} {asked.goal:g}: about {median - start} more masks (forecast {lower} to {upper})."


def duration_of(minutes: float) -> str:
    """Return minutes of work as one says them."""
    return f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


def _said(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f} (one fold: no interval)"
    return f"{estimate.value:.2f} ({max(0.0, estimate.low):.2f} to {min(1.0, estimate.high):.2f})"


def _change(one: Compared) -> str:
    difference, weighed = one.difference, one.weighed
    assert difference, "of all but the first"
    assert weighed, "likewise"
    if difference.low is None or difference.high is None:
        said = f"{_signed(difference.value)} (one fold: no interval)"
    else:
        told = "" if difference.tells else ", not told apart from scratch"
        # The limit that tells is no zero.
        digits = 3 if difference.tells and min(abs(difference.low), abs(difference.high)) < 0.005 else 2
        value, low, high = (_signed(one, digits) for one in (difference.value, difference.low, difference.high))
        said = f"{value} ({low} to {high}){told}"
    low, high = map(_signed, weighed.interval)
    counts = f"{_signed(weighed.value)} ({low} to {high})"
    if not weighed.data_sets:
        return f"{said}; no public data set tells what to expect, so that it counts as {counts}"
    return f"{said}; weighed with {weighed.data_sets} public data sets {counts}"


def _signed(value: float, digits: int = 2) -> str:
    said = f"{value:+.{digits}f}"
    return said if float(said) else said.replace("-", "+")


def content_of(found: Found, curves: Curves | str, asked: Asked) -> dict[str, Any]:
    """Return the advice as plain values."""
    arms = {
        one.arm.name: {
            "title": one.arm.title,
            "folds": [None if score != score else float(score) for score in one.folds],
            "score": _plain(one.score),
            "difference": _plain(one.difference),
            "weighed": _of_weighed(one.weighed) if one.weighed else None,
            "outside_weights": one.arm.outside,
        }
        for one in found.compared
    }
    forecast: dict[str, Any] = {"cannot": curves} if isinstance(curves, str) else _forecast(curves, asked)
    return {
        "score": found.measure.name,
        "score_title": found.measure.title,
        "labels": found.labels,
        "arms": arms,
        "best": found.best.arm.name,
        "told_apart": found.told_apart,
        "expected": found.expected,
        "forecast": forecast,
        "says": sentences(found, curves, asked),
    }


def _of_weighed(weighed: Weighed) -> dict[str, float]:
    low, high = weighed.interval
    return {**asdict(weighed), "low": low, "high": high}


def _forecast(curves: Curves, asked: Asked) -> dict[str, Any]:
    more = _farthest(curves, asked)
    median, low, high = curves.gain(asked.masks, more)
    found: dict[str, Any] = {"more": more, "gain": median, "low": low, "high": high, "minutes": more * asked.minutes}
    found["slope"] = asdict(curves.slope)
    if asked.goal is not None:
        names = ("labels", "labels_at_best", "labels_at_worst")
        found |= {"goal": asked.goal, **dict(zip(names, curves.labels_for(asked.goal, asked.masks), strict=True))}
    return found


def _plain(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    error = None if estimate.error != estimate.error else estimate.error
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "error": error}
