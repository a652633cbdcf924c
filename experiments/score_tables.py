"""The tables of the evaluation commands' JSON files: a row a file, a table a kind of score."""

from collections.abc import Iterable, Mapping

from core.classes import ClassSet
from core.errors import UserError
from experiments.evaluations import Evaluation, Provenance, same_classes, with_unit
from experiments.table_formats import MOST_CLASS_COLUMNS, UNKNOWN, Table, class_list

SHORT = 7  # characters of a fingerprint that tell it from others
SHOWN = 4
WHOLE = "whole"  # as pictures are seen where nothing else was asked for
# What rows must have in common: head of a column -> field of the provenance.
ORIGINS = {"data": "data_sha256", "split": "split"}
PLURALS = {"data": "data sets", "split": "splits"}
OF_PICTURES = {"PSNR (dB)": ("psnr", 2), "SSIM": ("ssim", 4), "MSE": ("mse", 5)}
OF_FOREGROUND = {"foreground IoU": "foreground_iou", "mean foreground Dice": "mean_foreground_dice"}


def reconstruction_table(results: Mapping[str, Evaluation]) -> Table:
    """Return a table of row name -> evaluation of phase 1."""
    origins = _origins(results.values())
    rows = []
    for name, result in results.items():
        known = result.provenance
        size = with_unit(known.resolution) if known.resolution else UNKNOWN
        cells = [*_origin(result, origins), str(result.num_images), size, known.training.get("skips", UNKNOWN)]
        scores = [_number(result.scores.get(key), places) for key, places in OF_PICTURES.values()]
        rows.append([name, *cells, *scores])
    heads = ["reconstruction", *origins, "images", "size", "skips", *OF_PICTURES]
    return Table("Reconstruction", heads, rows, ["reconstruction", *origins], _notes(results))


def segmentation_tables(results: Mapping[str, Evaluation]) -> list[Table]:
    """Return a table of row name -> evaluation of phase 2 for each class set."""
    return [_segmentation_table(classes, rows) for classes, rows in by_classes(results)]


def _segmentation_table(classes: ClassSet, results: Mapping[str, Evaluation]) -> Table:
    names = classes.names if len(classes) <= MOST_CLASS_COLUMNS else ()
    further = {**(OF_FOREGROUND if classes.foreground else {}), "accuracy": "pixel_accuracy"}
    origins = _origins(results.values())
    rows = []
    for name, result in results.items():
        of_classes = [result.classes[of_class].get("iou") for of_class in names]
        values = [result.scores.get("mean_iou"), *of_classes, *map(result.scores.get, further.values())]
        cells = [*_origin(result, origins), str(result.num_images)]
        rows.append([name, *cells, *(_number(value, 4) for value in values)])
    heads = ["segmentation", *origins, "images", "mean IoU", *(f"IoU {name}" for name in names), *further]
    return Table(class_list(classes.names), heads, rows, ["segmentation", *origins], _notes(results))


def require_one_origin(tables: Iterable[Mapping[str, Evaluation]]) -> None:
    """Refuse rows of one table that were scored on different pictures.

    Args:
        tables: row name -> evaluation, for each table.

    Raises:
        UserError: names what differs, and a row of each kind.
    """
    for rows in tables:
        for head, key in _origins(rows.values()).items():
            named: dict[str, str] = {}
            for name, result in rows.items():
                named.setdefault(_short(getattr(result.provenance, key)), name)
            kinds = ", ".join(f"{value} ({name})" for value, name in list(named.items())[:SHOWN])
            more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
            raise UserError(
                f"these results are of several {PLURALS[head]}: {kinds}{more}. Their scores do not compare: name a "
                "folder with one kind of results, or give --mix, which adds a column that says of which each row is"
            )


def by_classes(results: Mapping[str, Evaluation]) -> list[tuple[ClassSet, dict[str, Evaluation]]]:
    """Return the rows of each class set: scores of other classes do not mix."""
    kinds: list[tuple[ClassSet, dict[str, Evaluation]]] = []
    for name, result in results.items():
        assert result.class_set
        own = next((rows for classes, rows in kinds if same_classes(classes, result.class_set)), None)
        if own is None:
            kinds.append((result.class_set, own := {}))
        own[name] = result
    return kinds


def seen_words(origin: Provenance) -> str:
    """Return how many of the pictures scored the weights were trained on, in words; "" for none and where unknown."""
    if not origin.pictures_seen:
        return ""
    allowed = "" if origin.split == "Train" else " (--allow_seen)"  # which Train does not ask for
    return f"{origin.pictures_seen} of the scored pictures were seen in training{allowed}"


def _notes(results: Mapping[str, Evaluation]) -> list[str]:
    origins = {name: result.provenance for name, result in results.items()}
    seen = [f"{name}: {words}" for name, origin in origins.items() if (words := seen_words(origin))]
    views = {name: origin.views for name, origin in origins.items() if origin.views not in (None, WHOLE)}
    return [*seen, *(f"{name}: pictures were seen {words}" for name, words in views.items())]


def _origins(results: Iterable[Evaluation]) -> dict[str, str]:
    """Return what rows do not have in common of what they were scored on: head -> field of the provenance."""
    origins = [result.provenance for result in results]
    return {head: key for head, key in ORIGINS.items() if len({getattr(origin, key) for origin in origins}) > 1}


def _origin(result: Evaluation, origins: Mapping[str, str]) -> list[str]:
    return [_short(getattr(result.provenance, key)) for key in origins.values()]


def _short(value: str | None) -> str:
    return (value or UNKNOWN)[:SHORT]


def _number(value: float | None, places: int) -> str:
    return UNKNOWN if value is None else f"{value:.{places}f}"
