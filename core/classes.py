"""The classes of a segmentation task: they belong to the data and travel with it.

A `ClassSet` stands in the manifest, in the header of weights and in the JSON of results. Nobody imports a constant.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from core.errors import UserError

RGB = tuple[int, int, int]
IgnoredIs = Literal["unknown", "border"]

IGNORED = 255  # the label of pixels that are neither learned nor scored
MOST_CLASSES = IGNORED - 1
BACKGROUND_COLOUR: RGB = (33, 33, 33)
# Okabe & Ito (2008), told apart by colour-blind readers; without black (the background) and yellow (pale on paper).
SAFE_COLOURS: tuple[RGB, ...] = (
    (230, 158, 0),
    (87, 181, 232),
    (0, 158, 115),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
)


@dataclass(frozen=True)
class ClassSet:
    """The classes of a data set; a class's label is its index.

    Args:
        names: 2 to 254, distinct, printable.
        background: index of the class that is not looked for; None where every class is (CamVid, ADE20K): scores of the
            foreground are then null.
        ignored_is: what the label 255 means: `unknown`, or `border` where it is the outline of the foreground (Pets),
            which adds the scores that count it as foreground.
        colours: one a class, 0 to 255; empty for the default: safe for colour-blind readers, then VOC's rule.

    Raises:
        UserError: names that are too few, too many, equal or not printable; an index or a colour out of range.
    """

    names: tuple[str, ...]
    background: int | None = 0
    ignored_is: IgnoredIs = "unknown"
    colours: tuple[RGB, ...] = ()

    def __post_init__(self) -> None:
        if not 2 <= len(self.names) <= MOST_CLASSES:
            raise UserError(f"{len(self.names)} classes: a segmentation tells 2 to {MOST_CLASSES} classes apart")
        for name in self.names:
            if not (isinstance(name, str) and name.strip() and name.isprintable()):
                raise UserError(f"class name {name!r}: a name is text that can be printed, on one line and not empty")
            if self.names.count(name) > 1:
                raise UserError(f"class name {name!r} stands twice: every class needs a name of its own")
        if self.background is not None and not (
            type(self.background) is int and self.background in range(len(self.names))
        ):
            raise UserError(f"background {self.background!r} is none of the {len(self.names)} classes, counted from 0")
        if self.ignored_is not in get_args(IgnoredIs):
            raise UserError(f"ignored_is {self.ignored_is!r}: use {' or '.join(get_args(IgnoredIs))}")
        if self.ignored_is == "border" and self.background is None:
            raise UserError("a border lies between foreground and background: name the class that is the background")
        self._check_colours()

    def _check_colours(self) -> None:
        if self.colours and len(self.colours) != len(self.names):
            raise UserError(f"{len(self.colours)} colours for {len(self.names)} classes: give each one, or none at all")
        for colour in self.colours:
            if len(colour) != 3 or not all(isinstance(part, int) and 0 <= part <= 255 for part in colour):
                raise UserError(f"colour {colour}: a colour is red, green and blue from 0 to 255")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def foreground(self) -> tuple[int, ...]:
        """The classes that are looked for; none where there is no background."""
        return () if self.background is None else tuple(c for c in range(len(self)) if c != self.background)

    @property
    def palette(self) -> tuple[RGB, ...]:
        """A colour for each class: those given, or the default ones."""
        return self.colours or default_palette(len(self), self.background)

    def content(self) -> dict[str, Any]:
        """Return plain JSON values, from which `of` makes the same set."""
        return {**asdict(self), "names": list(self.names), "colours": [list(colour) for colour in self.palette]}

    @classmethod
    def of(cls, content: Any, where: str = "") -> Self:
        """Make a set of what `content` returned.

        Raises:
            UserError: it is something else; `where` says whose it was.
        """
        try:
            if isinstance(content["names"], str):
                raise TypeError("names are one text")
            return cls(
                names=tuple(content["names"]),
                background=content["background"],
                ignored_is=content["ignored_is"],
                colours=tuple(tuple(colour) for colour in content["colours"]),
            )
        except (TypeError, KeyError) as error:
            raise UserError(f"{where and f'{where}: '}{content!r} does not describe classes ({error!r})") from None


def default_palette(count: int, background: int | None) -> tuple[RGB, ...]:
    """Return distinct colours for `count` classes: a dark background, `SAFE_COLOURS`, then VOC's rule."""
    used = [BACKGROUND_COLOUR] if background is not None else []
    wanted = [*SAFE_COLOURS]
    number = 1
    while len(wanted) < count:
        colour = voc_colour(number)
        number += 1
        if colour not in wanted and colour not in used and max(colour) >= 64:
            wanted.append(colour)
    rest = iter(wanted)
    return tuple(BACKGROUND_COLOUR if c == background else next(rest) for c in range(count))


def voc_colour(number: int) -> RGB:
    """Return the colour of a number in the palette of PASCAL VOC's masks: its bits spread over the three channels."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= ((number >> (3 * place + channel)) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]
