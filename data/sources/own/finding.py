"""Finding the masks of one's own pictures, or saying what would."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from core.errors import UserError
from core.filing.paths import real
from data.pictures import PictureError
from data.sources.own.annotated import POLYGONS
from data.sources.own.listing import Pictures, pass_over
from data.sources.own.names import is_text, printable, stem_of
from data.sources.own.patterns import PICTURE_SUFFIXES, Pattern, pattern_of, siblings
from data.sources.own.twins import Twin, TwinError, settle_masks
from data.sources.own.walking import Told, walk

PLAIN = pattern_of("{name}")
# A file a class: in a folder a class, or in a folder a picture.
LAYERED = (pattern_of("{class}/{name}"), pattern_of("{name}/{class}"))
POLYGON_SUFFIXES = (".json", ".txt", ".xml")
_SPLIT_WORDS = {"train", "training", "val", "valid", "validation", "test", "testing"}
_TRIED_AT_MOST = 25


def check_folders(images: Path, masks: Path | None) -> None:
    """See that both are folders, or masks a JSON file.

    Raises:
        UserError: one is not.
    """
    for folder in (images, masks):
        if folder is None or folder.is_dir():
            continue
        if folder == masks and folder.is_file():
            if folder.suffix.lower() == ".json":
                continue
            raise UserError(f"{folder} is neither a folder of masks nor annotations: {POLYGONS}")
        raise UserError(f"{folder} is not a folder")


def find_masks(
    pictures: Pictures, images: Path, masks: Path, text: str | None
) -> tuple[Pattern, list[tuple[str, str]], list[str]]:
    """Give pictures their masks.

    Args:
        masks: the folder of masks; `images` itself where they lie beside their pictures.
        text: a pattern, such as '{name}_mask.png'; None tries the relative name, then a file a class.

    Returns:
        the pattern that fits, the files that are no mask of a picture with the reason, and what a person should know.

    Raises:
        UserError: none fits, or so few masks that it can hardly be meant; two masks of one picture that differ.
    """
    pattern = _choose(pictures, images, masks, text)
    passed_over: list[tuple[str, str]] = []
    tell = partial(pass_over, passed_over)
    fitting, strays, twins = 0, [], list[Twin]()
    for path in _files(images, masks, tell if images != masks else None):
        matched = _matched(pictures, pattern, path, masks)
        try:
            if matched and pictures.add_mask(*matched, path):
                fitting += 1
                continue
        except PictureError as error:
            tell(path, str(error))
            continue
        except TwinError as error:
            twins.append(error.twin)
            continue
        if images != masks or matched:
            tell(path, f"not a mask with the name of a picture ({pattern.text})")
            strays.append(printable(path))
    for twin in settle_masks(twins, pattern.text, tell):
        pictures.replace_mask(twin)
    others = [file for file in strays if Path(file).suffix.lower() in PICTURE_SUFFIXES]
    notes = []
    if others:
        best = _suggestion(pictures, images, masks)
        hint = f"; --mask_pattern '{best[0]}' would fit {best[1]}" if best and best[0] != pattern.text else ""
        told = f"{len(others)} of {len(others) + fitting} masks in {masks} fit no picture by {pattern.text}"
        notes.append(f"{told} (first {others[0]}){hint}")
    return pattern, passed_over, notes


def sibling_pattern(pictures: Pictures) -> str | None:
    """Return the pattern by which pictures are masks of others beside them, where one alone fits without exception."""
    found = siblings(pictures)
    if len(found) != 1:
        return None
    ((text, pairs, named),) = found
    return text if pairs == named and (pairs > 1 or len(pictures) == 2) else None


def _choose(pictures: Pictures, images: Path, masks: Path, text: str | None) -> Pattern:
    if text is not None:
        pattern = pattern_of(text)
        fitting, total, reached = _fit(pictures, images, masks, pattern)
        if _is_meant(pictures, fitting, total, reached):
            return pattern
        raise UserError(_no_fit(pictures, images, masks, pattern, fitting, total))
    fitting, total, reached = _fit(pictures, images, masks, PLAIN)
    if _is_meant(pictures, fitting, total, reached):
        return PLAIN
    for pattern in LAYERED:
        fits, _, reached = _fit(pictures, images, masks, pattern)
        if fits and 2 * fits >= total:
            keys = {
                matched[1] for path in _files(images, masks) if (matched := _matched(pictures, pattern, path, masks))
            }
            if len(keys) > 1 and not {key.lower() for key in keys} <= _SPLIT_WORDS:
                if fits == len(reached):
                    raise UserError(_one_each(masks, sorted(keys), pattern))
                return pattern
    raise UserError(_no_fit(pictures, images, masks, PLAIN, fitting, total))


def _one_each(masks: Path, keys: list[str], pattern: Pattern) -> str:
    """Say what is in doubt where every picture has one file alone, in folders or under names that could be classes."""
    some = ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
    return (
        f"every picture has one mask in {masks}, those of {some}: if these are classes, of which each has a file, say "
        f"--mask_pattern '{pattern.text}'; else lay masks in the folders of their pictures, images/a/tom.jpg needs "
        "masks/a/tom.png"
    )


def _is_meant(pictures: Pictures, fitting: int, total: int, reached: set[str]) -> bool:
    """Say whether so many fit that it can hardly be chance: half of the masks, or masks of half of the pictures."""
    return bool(fitting) and (2 * fitting >= total or 2 * len(reached) >= len(pictures))


def _files(images: Path, masks: Path, tell: Told | None = None) -> Iterator[Path]:
    excluded = [images] if real(images) != real(masks) else []
    return walk(masks, excluded, tell) if tell else walk(masks, excluded)


def _matched(pictures: Pictures, pattern: Pattern, path: Path, masks: Path) -> tuple[str, str] | None:
    return pattern.match_known(path, masks, lambda name: pictures.find(name) == name)


def _fit(pictures: Pictures, images: Path, masks: Path, pattern: Pattern) -> tuple[int, int, set[str]]:
    """Return how many files fit a picture, how many could be masks, and the pictures that got one.

    Beside pictures only those could be masks that the pattern fits.
    """
    fitting, total, reached = 0, 0, set()
    for path in _files(images, masks):
        matched = _matched(pictures, pattern, path, masks)
        total += path.suffix.lower() in PICTURE_SUFFIXES and (images != masks or matched is not None)
        if matched and pictures.find(matched[0]) == matched[0]:
            fitting += 1
            reached.add(matched[0])
    return fitting, total, reached


def _no_fit(pictures: Pictures, images: Path, masks: Path, tried: Pattern, fitting: int, total: int) -> str:
    """Say why the masks cannot be taken, and what would fit."""
    if not fitting and any(
        path.suffix.lower() in POLYGON_SUFFIXES
        and (path.suffix.lower() == ".json" or pictures.find(stem_of(path, masks)))
        for path in _files(images, masks)
    ):
        return (
            f"no annotation in {masks} has the name of a picture, as tom.json (labelme) or tom.txt (YOLO) of tom.jpg; "
            f"{POLYGONS}"
        )
    if not total and images != masks:
        return f"{masks} holds no mask"
    few = f"{fitting} of {total} masks in {masks} fit a picture" if fitting else f"no mask in {masks} fits a picture"
    suffix = tried.suffix or ".png"
    rule = tried.mask.removesuffix(tried.suffix).replace("{name}", "tom").replace("{class}", "cat") + suffix
    picture = tried.picture.replace("{name}", "tom")
    best = _suggestion(pictures, images, masks)
    if best and best[1] > fitting:
        of_all = f" of {total}" if images != masks else ""
        return f"{few}: {picture}.jpg's would be {rule}. --mask_pattern '{best[0]}' would fit {best[1]}{of_all}"
    if tried != PLAIN and fitting:
        return f"{few} by {tried.text}: correct --mask_pattern, or move what is no mask of these pictures elsewhere"
    return (
        f"{few}: images/a/tom.jpg needs masks/a/tom.png, or name them with --mask_pattern '{{name}}_mask.png' "
        "('{name}_photo => {name}_mask.png' for tom_photo.jpg)"
    )


def _suggestion(pictures: Pictures, images: Path, masks: Path) -> tuple[str, int] | None:
    """Return the pattern that fits most masks, and how many, from those that hold the name of a picture in theirs."""
    seen: Counter[str] = Counter()
    files = [path for path in _files(images, masks) if path.suffix.lower() in PICTURE_SUFFIXES]
    for path in files[:: max(1, len(files) // _TRIED_AT_MOST)]:
        name = stem_of(path, masks)
        part = pictures.within(name) if is_text(name) else None
        if part and name != part:
            seen[name.replace(part, "{name}", 1) + path.suffix.lower()] += 1
    fits = []
    for text, _ in seen.most_common(3):
        try:
            fits.append((_fit(pictures, images, masks, pattern_of(text))[0], text))
        except UserError:  # braces in a file's name
            continue
    count, text = max(fits, default=(0, ""))
    return (text, count) if count else None
