"""Anatomy and heads of the synthetic cats and dogs, as lists of tubes in drawing order.

What tells the species apart is shape: a cat has a round head with a short muzzle, wide upright ears, large slit eyes,
thin legs and a long thin tail; a dog a long snout with a large nose, hanging or narrow upright ears, small round eyes,
a deep chest over a tucked-up waist and a shorter tail. Coats (`coats`) are drawn alike for both.

A body's unit is the distance from hip to shoulder, a head's the radius of the skull; both face +x, y points down.
"""

import cmath
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np

from data.sources.drawn_pets.drawing import Tube, disc, limb


class Paint(IntEnum):
    """Rows of an animal's colour table; from `EYE` on they are details, drawn over the fur's pattern."""

    COAT = 0
    FAR = auto()
    UNDER = auto()
    POINT = auto()
    INNER_EAR = auto()
    EYE = auto()
    PUPIL = auto()
    NOSE = auto()
    TONGUE = auto()
    LINE = auto()
    GLINT = auto()


@dataclass(frozen=True)
class Anatomy:
    """One animal's build; `hanging` and `tail_lift` (0 down, 1 up) apart, lengths and radii in the units above."""

    species: str
    hanging: bool
    leg: float
    limb: float
    chest: float
    waist: float
    neck: float
    head: float
    muzzle: float
    jowl: float
    ear: float
    tail: float
    tail_radius: float
    tail_lift: float


_RANGES = {  # name: (cat, dog), in the order of Anatomy
    "leg": ((0.40, 0.52), (0.34, 0.72)),
    "limb": ((0.060, 0.078), (0.066, 0.100)),
    "chest": ((0.19, 0.23), (0.24, 0.29)),
    "waist": ((0.18, 0.22), (0.15, 0.19)),
    "neck": ((0.10, 0.17), (0.24, 0.38)),
    "head": ((0.24, 0.30), (0.22, 0.28)),
    "muzzle": ((0.12, 0.30), (0.75, 1.35)),
    "jowl": ((0.36, 0.44), (0.40, 0.52)),
    "ear": ((0.70, 0.95), (0.90, 1.30)),
    "tail": ((0.75, 1.05), (0.35, 0.60)),
    "tail_radius": ((0.040, 0.065), (0.040, 0.075)),
    "tail_lift": ((0.0, 1.0), (0.2, 1.0)),
}
_HANGING_EARS = {"cat": 0.0, "dog": 0.75}


def sample_anatomy(rng: np.random.Generator, species: str) -> Anatomy:
    """Draw the build of one animal of the species."""
    low, high = np.array([ranges[species == "dog"] for ranges in _RANGES.values()]).T
    hanging = rng.random() < _HANGING_EARS[species]
    return Anatomy(species, bool(hanging), *rng.uniform(low, high).tolist())


def _placed(parts: list[Tube], at: complex, scale: float, angle: float) -> list[Tube]:
    turn = cmath.rect(scale, angle)
    return [
        Tube(tuple([at + turn * joint for joint in part.joints]), tuple([scale * r for r in part.radii]), part.paint)
        for part in parts
    ]


def head(rng: np.random.Generator, a: Anatomy, at: complex, frontal: bool) -> list[Tube]:
    """The head, its skull's centre at `at`, seen from the front or from the side."""
    parts = _FRONTAL[a.species](a, rng.uniform(-0.3, 0.3)) if frontal else _PROFILE[a.species](a)
    return _placed(parts, at, a.head, rng.uniform(-0.25, 0.25))


def _cat_frontal(a: Anatomy, turn: float) -> list[Tube]:
    parts = []
    for side in (-1, 1):
        base, tip = 0.56 * side - 0.45j, (0.82 * side + 0.2 * turn) - (0.60 + a.ear) * 1j
        parts.append(limb(base, tip, 0.42, 0.04, Paint.POINT))
        parts.append(limb(base - 0.05j, base + 0.8 * (tip - base), 0.26, 0.03, Paint.INNER_EAR))
    parts.append(limb(-0.28 + 0j, 0.28 + 0j, 0.80, 0.80, Paint.COAT))
    parts.append(limb(-0.42 + 0.28j, 0.42 + 0.28j, 0.55, 0.55, Paint.COAT))
    parts.append(disc(turn + 0.66j, 0.22, Paint.UNDER))
    parts += [disc(turn + 0.19 * side + 0.45j, 0.27, Paint.UNDER) for side in (-1, 1)]
    for side in (-1, 1):
        eye = 0.43 * side + 0.7 * turn - 0.08j
        parts.append(limb(eye - 0.06, eye + 0.06, 0.20, 0.20, Paint.EYE))
        parts.append(limb(eye - 0.13j, eye + 0.13j, 0.065, 0.065, Paint.PUPIL))
        parts.append(disc(eye + 0.07 - 0.09j, 0.05, Paint.GLINT))
        parts += _whiskers(turn, side)
    mouth = turn + 0.34j
    parts.append(limb(mouth, mouth + 0.2j, 0.025, 0.025, Paint.LINE))
    parts += [_curve(mouth + 0.2j, 0.3 * side + 0.1j, 0.12j, 0.025, Paint.LINE) for side in (-1, 1)]
    parts.append(limb(mouth - 0.10j, mouth + 0.03j, 0.13, 0.04, Paint.NOSE))
    return parts


def _whiskers(turn: float, side: int) -> list[Tube]:
    start = turn + 0.3 * side + 0.45j
    return [limb(start, start + 0.8 * side + lift * 1j, 0.018, 0.006, Paint.GLINT) for lift in (-0.12, 0.05, 0.2)]


def _curve(start: complex, reach: complex, sag: complex, radius: float, paint: int) -> Tube:
    joints = (start, start + reach / 3 + sag, start + 2 * reach / 3 + sag, start + reach)
    return Tube(joints, (radius,) * 4, paint)


def _dog_frontal(a: Anatomy, turn: float) -> list[Tube]:
    parts = []
    if not a.hanging:
        for side in (-1, 1):
            base, tip = 0.44 * side - 0.55j, (0.52 * side + 0.2 * turn) - (0.75 + a.ear) * 1j
            parts.append(limb(base, tip, 0.28, 0.05, Paint.POINT))
            parts.append(limb(base, base + 0.8 * (tip - base), 0.17, 0.03, Paint.INNER_EAR))
    parts.append(limb(-0.28j, 0.25j, 0.80, 0.68, Paint.COAT))
    if a.hanging:
        for side in (-1, 1):
            edge = ((0.50, -0.6), (0.78, -0.3), (0.86, 0.25), (0.80, 0.8))
            joints = tuple(side * x + y * a.ear * 1j for x, y in edge)
            parts.append(Tube(joints, (0.18, 0.26, 0.30, 0.20), Paint.POINT))
    tip = turn + (0.50 + 0.35 * a.muzzle) * 1j
    parts.append(limb(0.5 * turn + 0.15j, tip, a.jowl * 0.85, a.jowl, Paint.UNDER))
    parts += [disc(tip + 0.24 * side + 0.05j, a.jowl * 0.7, Paint.UNDER) for side in (-1, 1)]
    for side in (-1, 1):
        eye = 0.37 * side + 0.5 * turn - 0.17j
        parts += [disc(eye, 0.14, Paint.EYE), disc(eye, 0.09, Paint.PUPIL), disc(eye + 0.04 - 0.05j, 0.04, Paint.GLINT)]
    nose = tip - 0.18j
    if a.tail_lift > 0.6:
        parts.append(limb(tip + 0.3j, tip + 0.62j, 0.16, 0.17, Paint.TONGUE))
    parts.append(limb(nose, nose + 0.35j, 0.03, 0.03, Paint.LINE))
    parts += [_curve(nose + 0.35j, 0.4 * side + 0.08j, 0.12j, 0.035, Paint.LINE) for side in (-1, 1)]
    parts.append(limb(nose - 0.10, nose + 0.10, 0.20, 0.20, Paint.NOSE))
    parts.append(disc(nose + 0.05 - 0.07j, 0.04, Paint.GLINT))
    return parts


def _cat_profile(a: Anatomy) -> list[Tube]:
    end = 0.82 + a.muzzle + 0.34j
    far, near = 0.30 - 0.62j, -0.22 - 0.60j
    parts = [
        limb(far, far + 0.12 - a.ear * 1j, 0.34, 0.04, Paint.FAR),
        limb(-0.15 + 0j, 0.2 + 0.05j, 0.95, 0.85, Paint.COAT),
    ]
    parts.append(limb(0.45 + 0.28j, end, 0.48, 0.28, Paint.UNDER))
    parts.append(limb(near, near - 0.10 - a.ear * 1j, 0.42, 0.04, Paint.POINT))
    parts.append(limb(near + 0.04, near - 0.05 - 0.75j * a.ear, 0.24, 0.03, Paint.INNER_EAR))
    eye = 0.55 - 0.12j
    parts += [disc(eye, 0.20, Paint.EYE), limb(eye + 0.07 - 0.1j, eye + 0.07 + 0.1j, 0.06, 0.06, Paint.PUPIL)]
    parts.append(_curve(end + 0.20 + 0.10j, -0.5 + 0.02j, 0.06j, 0.025, Paint.LINE))
    start = end - 0.15 + 0.02j
    parts += [limb(start, start - 0.75 + lift * 1j, 0.018, 0.006, Paint.GLINT) for lift in (-0.1, 0.08, 0.25)]
    parts.append(limb(end + 0.12 - 0.16j, end + 0.24 - 0.10j, 0.09, 0.05, Paint.NOSE))
    return parts


def _dog_profile(a: Anatomy) -> list[Tube]:
    end = 0.75 + a.muzzle + 0.38j
    parts = []
    if not a.hanging:
        parts.append(limb(0.05 - 0.6j, 0.05 - (0.7 + a.ear) * 1j, 0.27, 0.05, Paint.FAR))
    parts.append(limb(-0.1 + 0j, 0.15 + 0.05j, 0.88, 0.78, Paint.COAT))
    parts.append(limb(0.3 + 0.22j, end, a.jowl + 0.1, a.jowl * 0.72, Paint.UNDER))
    if a.hanging:
        joints = tuple(x + y * a.ear * 1j for x, y in ((-0.15, -0.55), (-0.42, -0.1), (-0.48, 0.45), (-0.3, 0.95)))
        parts.append(Tube(joints, (0.22, 0.34, 0.38, 0.24), Paint.POINT))
    else:
        parts.append(limb(-0.3 - 0.55j, -0.42 - (0.6 + a.ear) * 1j, 0.32, 0.05, Paint.POINT))
        parts.append(limb(-0.27 - 0.6j, -0.38 - (0.4 + a.ear) * 1j, 0.17, 0.03, Paint.INNER_EAR))
    eye = 0.45 - 0.16j
    parts += [disc(eye, 0.14, Paint.EYE), disc(eye + 0.03, 0.09, Paint.PUPIL)]
    parts.append(disc(eye + 0.06 - 0.05j, 0.04, Paint.GLINT))
    if a.tail_lift > 0.6:
        parts.append(_curve(end - 0.1 + 0.2j, 0.05 + 0.4j, 0.05 + 0j, 0.13, Paint.TONGUE))
    parts.append(_curve(end + 0.20 + 0.16j, -0.75 * a.muzzle + 0.05j, 0.05j, 0.035, Paint.LINE))
    parts.append(disc(end + a.jowl * 0.55 - 0.14j, 0.18, Paint.NOSE))
    return parts


_FRONTAL: dict[str, Callable[[Anatomy, float], list[Tube]]] = {"cat": _cat_frontal, "dog": _dog_frontal}
_PROFILE: dict[str, Callable[[Anatomy], list[Tube]]] = {"cat": _cat_profile, "dog": _dog_profile}
