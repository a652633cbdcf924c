"""What a report says about the classes of a segmentation, and about pictures that share a tag."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.classes import ClassSet
from experiments.evaluations import Evaluation, TagScores
from experiments.page.tables import Cell, PageTable, count, label, score, text
from experiments.runs import Run
from experiments.table_formats import MOST_CLASS_COLUMNS

# With more classes a page shows what stands out and folds the rest.
MANY = 25
EXTREMES, PAIRS = 5, 25


@dataclass(frozen=True)
class ClassTables:
    """The classes of a run. Of many `extremes` are those with the best and the worst IoU; else None.

    `distances` between surfaces are None where they were not asked for.
    """

    whole: PageTable
    extremes: PageTable | None
    confusion: PageTable
    folded: bool
    distances: PageTable | None = None


def class_tables(run: Run) -> ClassTables | None:
    """Return the scores of all classes and which were taken for which; None without classes."""
    known = run.evaluation
    if known is None or known.class_set is None:
        return None
    folded = len(known.class_set) > MANY
    confused = _confused_pairs if folded else _confusion
    confusion = confused(known, known.class_set, "voxels" if run.is_of_volumes else "pixels")
    extremes = None
    if folded:
        caption = f"The {EXTREMES} classes with the best IoU and the {EXTREMES} with the worst."
        extremes = _class_table(known, _extremes(known, known.class_set), caption)
    whole = _class_table(known, known.class_set.names)
    return ClassTables(whole, extremes, confusion, folded, _distances(known, known.class_set, run.kind))


def class_cell(classes: ClassSet, name: str) -> Cell:
    """Return a class's name behind its colour."""
    colour = classes.palette[classes.names.index(name)]
    return Cell(name, name.lower(), swatch="#{:02x}{:02x}{:02x}".format(*colour))


def _class_table(known: Evaluation, names: Sequence[str], caption: str = "") -> PageTable:
    assert known.class_set
    columns = list(dict.fromkeys(key for scores in known.classes.values() for key in scores))
    intervals = known.class_intervals
    rows = [
        [
            class_cell(known.class_set, name),
            *(score(known.classes[name].get(key), key, (intervals.get(name) or {}).get(key)) for key in columns),
        ]
        for name in names
    ]
    return PageTable(("class", *map(label, columns)), rows, caption, sortable=True)


def _distances(known: Evaluation, classes: ClassSet, kind: str) -> PageTable | None:
    """Return how far the surfaces of truth and prediction lie apart, by class."""
    found = known.more.get("distances")
    if not found:
        return None
    intervals = (known.intervals.get("distances") or {}).get("classes") or {}
    rows = [
        [
            class_cell(classes, name),
            *(
                score(one.get(key), key, (intervals.get(name) or {}).get(key))
                for key in ("hausdorff_95", "surface_distance")
            ),
            *(score(one.get(key)) for key in ("num_scored", "missed", "invented")),
        ]
        for name, one in found["classes"].items()
    ]
    unit = found.get("unit", "pixels")
    heads = (
        "class",
        f"95 % Hausdorff distance ({unit})",
        f"surface distance ({unit})",
        f"{kind}s",
        "missed",
        "invented",
    )
    caption = (
        f"Means over the {kind}s whose truth and prediction hold the class; missed: in the truth alone, invented: in "
        "the prediction alone."
    )
    return PageTable(heads, rows, caption, sortable=True)


def _extremes(known: Evaluation, classes: ClassSet) -> list[str]:
    """Return the classes with the best IoU and those with the worst, falling; those without one are neither."""
    found = {name: iou for name in classes.names if (iou := known.classes[name].get("iou")) is not None}
    ranked = sorted(found, key=lambda name: -found[name])
    return ranked if len(ranked) <= 2 * EXTREMES else [*ranked[:EXTREMES], *ranked[-EXTREMES:]]


def _confusion(known: Evaluation, classes: ClassSet, points: str) -> PageTable:
    rows = []
    for number, (name, counts) in enumerate(zip(classes.names, known.confusion_matrix, strict=True)):
        whole = sum(counts)
        cells = [
            Cell(_share(pixels, whole), pixels, note=count(pixels).text, strong=said == number)
            for said, pixels in enumerate(counts)
        ]
        rows.append([class_cell(classes, name), *cells])
    caption = f"Share of the true class's {points}; below, {points}."
    return PageTable(("truth", *(f"predicted {name}" for name in classes.names)), rows, caption)


def _confused_pairs(known: Evaluation, classes: ClassSet, points: str) -> PageTable:
    """Return the pairs of classes with the most pixels, or voxels, of one taken for the other."""
    matrix = np.array(known.confusion_matrix)  # [C, C], rows truth
    wrong = matrix - np.diag(matrix.diagonal())
    worst = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    rows = []
    for true, said in zip(*np.unravel_index(worst, wrong.shape), strict=True):
        if pixels := int(wrong[true, said]):
            whole = int(matrix[true].sum())
            share = Cell(_share(pixels, whole), pixels / whole)
            rows.append([*(class_cell(classes, classes.names[c]) for c in (true, said)), count(pixels), share])
    caption = f"The {len(rows)} most frequent confusions of {len(classes)} classes."
    return PageTable(("truth", "predicted", points, "share of the true class"), rows, caption, sortable=True)


def _share(pixels: int, whole: int) -> str:
    return f"{100 * pixels / whole:.1f} %" if whole else "–"


def tag_tables(run: Run) -> dict[str, PageTable]:
    """Return a table a tag: the scores of the pictures that share each of its values."""
    known = run.evaluation
    if known is None or known.class_set is None:
        return {}
    classes = known.class_set.names if len(known.class_set) <= MOST_CLASS_COLUMNS else ()
    tables = {}
    for tag, values in known.tags.items():
        rows = [
            [
                text(value),
                count(scores.num_images),
                score(scores.mean_iou_true_classes),
                *(score(scores.iou.get(name), "iou") for name in classes),
            ]
            for value, scores in values.items()
        ]
        heads = (tag, f"{run.kind}s", "mean IoU of its classes", *(f"IoU {name}" for name in classes))
        tables[tag] = PageTable(heads, rows, f"A {tag} with few {run.kind}s says little.", sortable=True)
    return tables


def compared_tags(runs: Sequence[Run]) -> dict[str, PageTable]:
    """Return a table a tag that all runs know: the mean IoU of each of its values, a column a run."""
    known = [run.evaluation.tags if run.evaluation else {} for run in runs]
    return {tag: _compared_tag(runs, tag, [tags[tag] for tags in known]) for tag in known[0] if _in_all(tag, known)}


def _in_all(tag: str, known: Sequence[Mapping[str, object]]) -> bool:
    return all(tag in tags for tags in known)


def _compared_tag(runs: Sequence[Run], tag: str, known: Sequence[Mapping[str, TagScores]]) -> PageTable:
    rows = []
    for value in dict.fromkeys(value for of_run in known for value in of_run):
        found = [of_run.get(value, TagScores()) for of_run in known]
        images = max(scores.num_images for scores in found)
        rows.append([text(value), count(images), *with_gain([scores.mean_iou_true_classes for scores in found])])
    kind = runs[0].kind
    caption = f"Mean IoU over the classes that the masks hold. A {tag} with few {kind}s says little."
    return PageTable((tag, f"{kind}s", *run_heads(runs)), rows, caption, sortable=True)


def compared_classes(runs: Sequence[Run]) -> PageTable | None:
    """Return the IoU of each class, a column a run; None where runs tell other classes apart, or no classes."""
    known = [run.evaluation for run in runs]
    classes = runs[0].class_set
    if classes is None or any(run.class_set is None or run.class_set.names != classes.names for run in runs):
        return None
    rows = []
    for name in classes.names:
        values = [evaluation.classes[name].get("iou") if evaluation else None for evaluation in known]
        rows.append([class_cell(classes, name), *with_gain(values)])
    return PageTable(("class", *run_heads(runs)), rows, "IoU.", sortable=True)


def with_gain(values: Sequence[float | None]) -> list[Cell]:
    """Return the scores of runs; of two, also by how much the second is ahead."""
    cells = [score(value) for value in values]
    if len(values) == 2:
        first, second = values
        cells.append(score(None if first is None or second is None else second - first, signed=True))
    return cells


def run_heads(runs: Sequence[Run]) -> list[str]:
    """Return the heads of the columns of `with_gain`."""
    names = [run.name for run in runs]
    return [*names, f"{names[1]} against {names[0]}"] if len(names) == 2 else names
