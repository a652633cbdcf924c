"""How a mask's file name comes from its picture's."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from core.errors import UserError
from data.sources.own.listing import Pictures
from data.sources.own.names import is_text, stem_of

PICTURE_SUFFIXES = (
    *(".png", ".tif", ".tiff", ".bmp", ".gif", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".ppm", ".pgm", ".pbm"),
    *(".pnm", ".jp2", ".avif", ".heic"),
)
# Names that masks beside their pictures often have.
SIBLINGS = (
    *("{name}_mask", "{name}-mask", "{name}_masks", "{name}_gt", "{name}_GT", "{name}_label", "{name}_labels"),
    *("{name}-label", "{name}_segmentation", "{name}_seg", "{name}_annotation", "{name}.mask", "mask_{name}"),
)
_PLACES = {"{name}": r"(?P<stem>[^/]+)", "{class}": r"(?P<key>[^/]+)"}
_FOLDER = r"(?P<folder>(?:[^/]+/)*)"


@dataclass(frozen=True)
class Pattern:
    """A mask's name relative to its folder, with {name} for the picture's and, where each class has a file, {class}.

    Attributes:
        text: as a person writes it.
        names: matches the mask's relative name without its suffix.
        suffix: of the mask, in small letters; "" for any.
        picture, mask: the parts of the text for the picture's name, without its suffix, and for the mask's.
    """

    text: str
    names: re.Pattern[str]
    suffix: str
    picture: str
    mask: str

    @property
    def is_layered(self) -> bool:
        """Whether each class has a file of its own."""
        return "{class}" in self.mask

    def match(self, path: Path, root: Path) -> tuple[str, str] | None:
        """Return the picture's name and the class ("" for a file of all); None for a file that is no such mask."""
        divided = self._divided(path, root)
        return divided and (self._picture_of(divided[0]), divided[1])

    def _picture_of(self, name: str) -> str:
        """Return the picture's name where {name}, with the folders before it, is the given one."""
        folder, slash, stem = name.rpartition("/")
        head, _, after = self.picture.partition("{name}")
        above, between, before = head.rpartition("/")
        return f"{above}{between}{folder}{slash}{before}{stem}{after}"

    def _divided(self, path: Path, root: Path) -> tuple[str, str] | None:
        """Return what {name}, with the folders before it, and {class} stand for."""
        if path.suffix.lower() not in ((self.suffix,) if self.suffix else PICTURE_SUFFIXES):
            return None
        name = stem_of(path, root)
        found = self.names.fullmatch(name) if is_text(name) else None
        if not found:
            return None
        return found["folder"] + found["stem"], found["key"] if self.is_layered else ""

    def match_known(self, path: Path, root: Path, known: Callable[[str], bool]) -> tuple[str, str] | None:
        """Match so that the picture is known, if any way to divide the name does that; the longest name of those.

        `p0_red_car` is the picture p0_red with class car, or p0 with class red_car.
        """
        matched, divided = self.match(path, root), self._divided(path, root)
        between = re.search(r"\{name\}([^/{]+)\{class\}|\{class\}([^/{]+)\{name\}", self.mask)
        if not matched or not divided or not between or known(matched[0]):
            return matched
        name, key = divided
        folder = name[: name.rfind("/") + 1]
        stem, mark, name_first = name[len(folder) :], between[1] or between[2], between[1] is not None
        whole = f"{stem}{mark}{key}" if name_first else f"{key}{mark}{stem}"
        ways = []
        for place in range(1, len(whole) - len(mark)):
            if whole.startswith(mark, place):
                parts = whole[:place], whole[place + len(mark) :]
                ways.append(parts if name_first else parts[::-1])
        fits = [(self._picture_of(folder + stem), key) for stem, key in ways]
        return max((way for way in fits if known(way[0])), key=lambda way: len(way[0]), default=matched)


def pattern_of(text: str) -> Pattern:
    """Read a pattern such as '{name}_mask.png', 'labels/{name}.png' or '{class}/{name}.png'.

    Folders of the picture's own name stand where {name} stands: the mask of a/tom is a/tom_mask.png, labels/a/tom.png.
    Where the picture's name has what the mask's lacks, it stands first: '{name}_photo => {name}_mask.png'.

    Raises:
        UserError: it is none.
    """
    left, arrow, right = text.rpartition("=>")
    picture, _ = _without_suffix(left.strip() if arrow else "{name}")
    body, suffix = _without_suffix(right.strip() if arrow else right)
    found, of_picture = (re.findall(r"\{[^}]*\}", part) for part in (body, picture))
    if found.count("{name}") != 1 or found.count("{class}") > 1 or not set(found) <= set(_PLACES):
        raise UserError(
            f"mask_pattern {text!r}: it needs {{name}} once, such as '{{name}}_mask.png' (and may have {{class}})"
        )
    if of_picture != ["{name}"]:
        form = "'{name}_photo => {name}_mask.png'"
        raise UserError(f"mask_pattern {text!r}: before => it needs {{name}} once, such as {form}")
    parts = []
    for part in body.removeprefix("./").split("/"):
        expression = "".join(_PLACES.get(piece, re.escape(piece)) for piece in re.split(r"(\{name\}|\{class\})", part))
        parts.append(_FOLDER + expression if "{name}" in part else expression)
    return Pattern(text, re.compile("/".join(parts)), suffix, picture.removeprefix("./"), body + suffix)


def _without_suffix(part: str) -> tuple[str, str]:
    """Return a part of a pattern in Unicode's composed form, without the suffix of a picture, and that suffix."""
    suffix = Path(part).suffix.lower()
    suffix = suffix if suffix in PICTURE_SUFFIXES else ""
    return normalize("NFC", part[: len(part) - len(suffix)]), suffix


def named_like_masks(pictures: Pictures) -> list[tuple[str, int]]:
    """Return the endings that masks often have, and how many pictures have each, whatever their other is called."""
    found = []
    for text in sorted({text.lower() for text in SIBLINGS}):
        count = pictures.ask("SELECT count(*) FROM pictures WHERE lower(stem) GLOB ?", text.replace("{name}", "?*"))
        if count:
            found.append((text, count))
    return found


def siblings(pictures: Pictures) -> list[tuple[str, int, int]]:
    """Return the patterns by which pictures look like masks of others in the same folder.

    Returns:
        (pattern, such pictures that have their other, pictures so named) each.
    """
    found = []
    for text in SIBLINGS:
        before, after = text.split("{name}")
        pairs = pictures.ask(
            "SELECT count(*) FROM pictures AS mask JOIN pictures AS other ON other.folder = mask.folder "
            "AND other.stem = substr(mask.stem, ?, length(mask.stem) - ?) WHERE mask.stem GLOB ?",
            *(len(before) + 1, len(before + after), f"{before}?*{after}"),
        )
        if pairs:
            named = pictures.ask("SELECT count(*) FROM pictures WHERE stem GLOB ?", f"{before}?*{after}")
            found.append((text, pairs, named))
    return found
