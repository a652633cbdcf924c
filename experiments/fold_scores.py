"""The scores of a cross-validation's folds: one by one, their mean and spread, and over all pictures together.

Where pictures share a tag by which they were divided (a patient's), that is a case, as in the evaluation of a fold:
intervals draw cases, since pictures of one patient are no independent ones.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from core.evaluation import RESULT_FILES, counted
from core.statistics import mean_interval
from experiments.evaluations import is_of_volumes
from experiments.per_image import image_counts, image_tags
from experiments.result_files import read_evaluation
from experiments.runs import Run
from experiments.table_formats import UNKNOWN, Table, number

FORMAT = 1
PHASE = "transfer_learning"
TITLES = {
    "mean_iou": "mean IoU",
    "mean_foreground_dice": "mean foreground Dice",
    "mean_case_dice": "mean Dice of a {}",
    "pixel_accuracy": "pixel accuracy",
}
OF_CLASSES = ("dice", "iou", "precision", "recall", "specificity")


def content_of(here: Path, folds: int) -> dict[str, Any]:
    """Return what crossval.json says of the folds that are scored below a folder.

    Raises:
        UserError: the results of a fold are damaged or of other classes, or two folds hold one picture.
    """
    runs, counts, class_set = _read(here, folds)
    by = _cases_by(runs.values())
    by_fold = {fold: _of_cases(runs[fold], of_pictures, by) for fold, of_pictures in counts.items()}
    scores = _summed(by_fold, class_set)
    return {
        "format": FORMAT,
        "folds": folds,
        "of_volumes": any(is_of_volumes(run.provenance.resolution or 0) for run in runs.values()),
        "pictures": {str(fold): len(of_pictures) for fold, of_pictures in counts.items()},
        "cases": {"by": by, "number": sum(map(len, by_fold.values()))} if by else None,
        "class_set": class_set.content(),
        "scores": {name: scores[name] for name in TITLES},
        "classes": {name: {kind: scores[name, kind] for kind in OF_CLASSES} for name in class_set.names},
    }


def counts_below(here: Path, folds: int) -> tuple[np.ndarray, ClassSet]:
    """Return the pixels hit, true and said of every fold, [folds, C, 3], and the C classes; all folds are scored.

    Raises:
        UserError: as `content_of`.
    """
    _, counts, class_set = _read(here, folds)
    return np.stack([sum(counts[fold].values(), np.zeros((len(class_set), 3))) for fold in range(folds)]), class_set


def _read(here: Path, folds: int) -> tuple[dict[int, Run], dict[int, dict[str, np.ndarray]], ClassSet]:
    """Return the scored folds, what each of their pictures adds to the scores, [C, 3], and the C classes."""
    read = [_run(here / f"fold_{fold}" / "results", fold) for fold in range(folds)]
    runs = {fold: run for fold, run in enumerate(read) if run}
    counts = {fold: image_counts(run) for fold, run in runs.items()}
    class_set, *rest = map(_classes, runs.values())
    if any(other.names != class_set.names for other in rest):
        raise UserError(f"{here}: its folds tell other classes apart: give another --output_dir")
    names = [name for of_pictures in counts.values() for name in of_pictures]
    if len(set(names)) < len(names):
        raise UserError(f"{here}: a picture is Test in two folds, so they are of other divisions: delete the folds")
    return runs, counts, class_set


def _cases_by(runs: Iterable[Run]) -> str | None:
    """Return the tag whose values are cases in every fold; None: each picture is one."""
    cases = [run.evaluation.more.get("cases") or {} for run in runs if run.evaluation]
    named = {one.get("by", "image") for one in cases}
    return None if len(named) != 1 or named == {"image"} else str(*named)


def _of_cases(run: Run, of_pictures: Mapping[str, np.ndarray], by: str | None) -> np.ndarray:
    """Return the counts [K, C, 3] of a fold's cases."""
    from transfer_learning.scores.cases import case_counts, cases_of

    counts = np.stack(list(of_pictures.values()))
    if by is None:
        return counts
    tags = image_tags(run, by)
    return case_counts(counts, cases_of([tags[name] for name in of_pictures]))


def _run(results: Path, fold: int) -> Run | None:
    """Return the scored run of a fold; None where it is not scored yet."""
    file = results / RESULT_FILES[PHASE]
    return Run(PHASE, file, read_evaluation(file), name=f"fold {fold}") if file.is_file() else None


def _classes(run: Run) -> ClassSet:
    assert run.class_set
    return run.class_set


def _summed(by_fold: Mapping[int, np.ndarray], class_set: ClassSet) -> dict[Any, dict[str, Any]]:
    """Return for each score its value in every fold, mean and deviation of these, value over all cases, interval.

    Args:
        by_fold: counts [K, C, 3] of the cases of each fold.
        class_set: the C classes.
    """
    from transfer_learning.scores.confusion import known, score_intervals

    pooled = np.concatenate(list(by_fold.values()))
    of_folds = {fold: _scores(counts, class_set) for fold, counts in by_fold.items()}
    of_all = _scores(pooled, class_set)
    nested = score_intervals(pooled, class_set)
    intervals = {**nested, "mean_case_dice": mean_interval(_case_dice(pooled, class_set))}
    intervals |= {(name, kind): nested["classes"][name][kind] for name in class_set.names for kind in OF_CLASSES}
    found = {}
    for name, pooled_value in of_all.items():
        values = np.array([scores[name] for scores in of_folds.values()])
        there = values[~np.isnan(values)]
        found[name] = {
            "folds": {str(fold): known(scores[name]) for fold, scores in of_folds.items()},
            "mean": float(there.mean()) if len(there) else None,
            "standard_deviation": float(there.std(ddof=1)) if len(there) > 1 else None,
            "pooled": known(pooled_value),
            "interval": intervals[name],
        }
    return found


def _scores(counts: np.ndarray, class_set: ClassSet) -> dict[Any, float]:
    """Return the scores of cases with counts [N, C, 3], NaN where there is nothing to score."""
    from transfer_learning.scores.confusion import scores_of_counts

    scores = scores_of_counts(counts.sum(axis=0, keepdims=True), class_set)
    case_dice = _case_dice(counts, class_set)
    known = case_dice[~np.isnan(case_dice)]
    found: dict[Any, float] = {name: float(scores[name][0]) for name in TITLES if name != "mean_case_dice"}
    found["mean_case_dice"] = float(known.mean()) if len(known) else float("nan")
    for name in class_set.names:
        found |= {(name, kind): float(scores["classes"][name][kind][0]) for kind in OF_CLASSES}
    return found


def _case_dice(counts: np.ndarray, class_set: ClassSet) -> np.ndarray:
    from transfer_learning.scores.confusion import scores_of_counts

    return scores_of_counts(counts, class_set)["mean_foreground_dice"]


def table_of(content: Mapping[str, Any]) -> Table:
    """Return the table of a crossval.json: a row a score, a column a fold."""
    pictures = content["pictures"]
    kind = "volume" if content["of_volumes"] else "picture"
    heads = [*(f"fold {fold}" for fold in pictures), "mean", "standard deviation", f"all {kind}s", "95 % interval"]
    cases = content["cases"]
    case = cases["by"] if cases else kind
    rows = [[title, *_cells(score, pictures)] for title, score in _shown(content, case)]
    what = counted(sum(pictures.values()), kind) + (f" of {counted(cases['number'], case)}" if cases else "")
    notes = [
        f"{what} in {counted(len(pictures), 'fold')}, each scored by the network that never saw it; the interval is of "
        f"the column before it, by a bootstrap over {counted('', case).strip()}."
    ]
    if len(pictures) < content["folds"]:
        notes.append(f"{len(pictures)} of {content['folds']} folds are done.")
    return Table("Cross-validation", ["score", *heads], rows, ["score", heads[-1]], notes)


def _shown(content: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, title in TITLES.items():
        if content["scores"][name]["pooled"] is not None:
            yield title.format(kind), content["scores"][name]
    classes = ClassSet.of(content["class_set"])
    for number_of, name in enumerate(classes.names):
        if number_of != classes.background:
            yield f"Dice {name}", content["classes"][name]["dice"]


def _cells(score: Mapping[str, Any], folds: Sequence[str]) -> list[str]:
    low, high = score["interval"] or (None, None)
    values = [*(score["folds"][fold] for fold in folds), score["mean"], score["standard_deviation"], score["pooled"]]
    return [*map(number, values), UNKNOWN if low is None else f"{number(low)} to {number(high)}"]
