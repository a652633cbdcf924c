"""What replays say together: how often the advice was near the best, how much it cost, whether forecasts held."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from experiments.advice.evidence.forecast import EXPONENT, UNKNOWN_EXPONENT, Curves, Slope, exponent_error, exponent_of
from experiments.advice.evidence.weighing import Prior, Weighed, prior_of, taken, weighed

NEAR = 0.02  # of the best arm's score
LEVEL = 0.95


def row_of(name: str, advice: Mapping[str, Any], truth: Mapping[str, float]) -> dict[str, Any]:
    """Return a replay as a row: what was advised, what every arm scored on Test, the forecast and what came.

    Args:
        name: of the user.
        advice: advice.json.
        truth: arm -> score on Test; `twice`: the advised arm's with twice the masks.
    """
    arms = {arm: score for arm, score in truth.items() if arm != "twice"}
    forecast = advice["forecast"]
    return {
        "user": name,
        "data": name.rsplit("_", 2)[0],
        "masks": advice["masks"],
        "seconds": advice["seconds_a_training"],
        "size": advice["size"],
        "width": advice["width"],
        "forecast_of": advice["best"],
        "told_apart": advice["told_apart"],
        "outside": {arm: entry["outside_weights"] for arm, entry in advice["arms"].items()},
        "differences": {arm: entry["difference"] for arm, entry in advice["arms"].items()},
        "number_of_folds": advice["folds"],
        "steps": advice["steps"],
        "folds": {arm: entry["score"]["value"] for arm, entry in advice["arms"].items()},
        "scores": arms,
        "gain": truth["twice"] - arms[advice["best"]],
        "slope": forecast.get("slope"),
    }


def summary_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rows, each with what is advised by the other data sets' priors, and the numbers of all of them."""
    rows = [{**row, **_said(row, [other for other in rows if other["data"] != row["data"]])} for row in rows]
    return {
        "rows": rows,
        "with_outside_weights": _choices(rows, "advised", lambda row: row["scores"]),
        "without_outside_weights": _choices(rows, "advised_without_outside_weights", _own),
        "forecasts": _forecasts([row for row in rows if row["forecast"]]),
    }


def _said(row: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a row's user is told under the priors of other data sets."""
    priors = priors_of(others)
    forecast = None
    if row["slope"]:
        slope = Slope(**{**row["slope"], "score": _expected(row, priors)})
        curves = Curves(slope, priors.get(EXPONENT, UNKNOWN_EXPONENT))
        forecast = curves.gain(row["masks"], row["masks"])
    return {
        "advised": advised(row, priors, list(row["scores"])),
        "advised_without_outside_weights": advised(row, priors, list(_own(row))),
        "forecast": forecast,
    }


def priors_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Prior]:
    """Return the priors for one more data set: of what each arm brought beyond scratch, and of the exponent.

    That of the exponent is without what trainings differ by, which a forecast adds.
    """
    brought: dict[str, dict[str, list[float]]] = {}
    noise: dict[str, list[float]] = {}
    for row in rows:
        found = {arm: score - row["scores"]["scratch"] for arm, score in row["scores"].items() if arm != "scratch"}
        found[EXPONENT] = exponent_of(row["gain"], row["scores"][row["forecast_of"]])
        noise.setdefault(row["data"], []).append(exponent_error(row["gain"], row["scores"][row["forecast_of"]]) ** 2)
        for what, value in found.items():
            brought.setdefault(what, {}).setdefault(row["data"], []).append(value)
    return {
        what: prior_of(values, noise if what == EXPONENT else None)
        for what, values in brought.items()
        if len(values) > 1
    }


def _expected(row: Mapping[str, Any], priors: Mapping[str, Prior]) -> float:
    """Return what is expected of the arm whose forecast is kept."""
    arm, scratch = row["forecast_of"], row["folds"]["scratch"]
    ahead = 0.0 if arm == "scratch" else _weighed(row, priors, row["scores"])[arm].value
    return float(min(1.0, scratch + ahead))


def advised(row: Mapping[str, Any], priors: Mapping[str, Prior], among: Sequence[str]) -> str:
    """Return the arm that `advise` takes among some, under given priors."""
    differences = ((arm, row["differences"][arm]) for arm in among if arm != "scratch")
    told = [arm for arm, one in differences if one["low"] is not None and one["low"] > 0]
    return taken(_weighed(row, priors, among), told) or "scratch"


def _weighed(row: Mapping[str, Any], priors: Mapping[str, Prior], among: Iterable[str]) -> dict[str, Weighed]:
    beside = {arm: row["differences"][arm] for arm in among if arm != "scratch"}
    errors = [float("nan") if one["error"] is None else one["error"] for one in beside.values()]
    return weighed({arm: one["value"] for arm, one in beside.items()}, errors, row["number_of_folds"], priors)


def _own(row: Mapping[str, Any]) -> dict[str, float]:
    return {arm: score for arm, score in row["scores"].items() if not row["outside"][arm]}


def _choices(
    rows: Sequence[Mapping[str, Any]], said: str, allowed: Callable[[Mapping[str, Any]], Mapping[str, float]]
) -> dict[str, Any]:
    """Return regrets of what was said, of the highest score in the folds, and of every fixed advice.

    However many replays a data set has, it counts as one; how many were near is counted by replay besides.
    """
    arms = set.intersection(*(set(allowed(row)) for row in rows))
    regrets: dict[str, list[float]] = {}
    for row in rows:
        scores = allowed(row)
        highest = max(scores, key=lambda arm: row["folds"][arm])
        taken = {"advice": row[said], "highest in the folds": highest, **{f"always {arm}": arm for arm in sorted(arms)}}
        for what, arm in taken.items():
            regrets.setdefault(what, []).append(max(scores.values()) - scores[arm])
    return {
        name: {
            "near": float(np.mean(np.array(values) <= NEAR)),
            "near_by_data_set": float(np.mean([np.mean(one <= NEAR) for one in _by_data_set(rows, values)])),
            "median": float(np.median(values)),
            "mean": float(np.mean([np.mean(one) for one in _by_data_set(rows, values)])),
        }
        for name, values in regrets.items()
    }


def _by_data_set(rows: Sequence[Mapping[str, Any]], values: Sequence[float]) -> list[np.ndarray]:
    names = np.array([row["data"] for row in rows])
    return [np.asarray(values)[names == name] for name in sorted(set(names))]


def _forecasts(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return coverage, mean interval score (Gneiting & Raftery 2007) and median width beside those of "no change".

    No change: the gain is 0, give or take what makes it hold as often as the level says over all replays.
    """
    if not rows:
        return {"number": 0}
    gains = np.array([row["gain"] for row in rows])
    low, high = (np.array([row["forecast"][place] for row in rows]) for place in (1, 2))
    half = np.quantile(np.abs(gains), LEVEL)
    none = np.full(len(gains), -half), np.full(len(gains), half)
    return {
        "number": len(rows),
        "coverage": float(np.mean((low <= gains) & (gains <= high))),
        "interval_score": _interval_score(low, high, gains),
        "median_width": float(np.median(high - low)),
        "no_change": {"interval_score": _interval_score(*none, gains), "median_width": float(2 * half)},
    }


def _interval_score(low: np.ndarray, high: np.ndarray, found: np.ndarray) -> float:
    missed = np.maximum(low - found, 0) + np.maximum(found - high, 0)
    return float(np.mean(high - low + 2 / (1 - LEVEL) * missed))
