"""Poses of the synthetic animals: each puts a body and a head of one anatomy together, the farthest parts first."""

import cmath
from typing import NamedTuple

import numpy as np

from data.sources.drawn_pets.animals import Anatomy, Paint, head, sample_anatomy
from data.sources.drawn_pets.drawing import Tube, limb


class Posed(NamedTuple):
    """An animal's tubes in drawing order, and whether the picture is to show its head and shoulders alone."""

    tubes: list[Tube]
    portrait: bool


def sample_animal(rng: np.random.Generator, species: str) -> Posed:
    """Draw the build and the pose of one animal of the species."""
    anatomy = sample_anatomy(rng, species)
    pose = _POSES[int(rng.integers(len(_POSES)))]
    return Posed(pose(rng, anatomy), pose is _portrait)


def _standing(rng: np.random.Generator, a: Anatomy) -> list[Tube]:
    ground = a.leg + 0.12
    stride = rng.uniform(-0.18, 0.18) * np.array([1, -1, -1, 1]) + rng.uniform(-0.05, 0.05, 4)
    far = [_hind_leg(-0.42, ground, stride[0], a, Paint.FAR), _foreleg(0.46, ground, stride[1], a, Paint.FAR)]
    near = [_hind_leg(-0.48, ground, stride[2], a, Paint.COAT), _foreleg(0.40, ground, stride[3], a, Paint.COAT)]
    # The back is level, so that a narrow waist shows as a tucked-up belly.
    radii = (a.waist, a.waist * 0.95, (a.waist + a.chest) / 2, a.chest)
    joints = tuple(x + (radius - a.waist) * 1j for x, radius in zip((-0.48, -0.16, 0.16, 0.44), radii, strict=True))
    tail = _tail(rng, -0.50 - (0.6 * a.waist) * 1j - 0.5 * a.waist, a, a.tail_lift)
    body = [*far, tail, Tube(joints, radii, Paint.COAT), *near]
    return body + _neck_and_head(rng, a, 0.48 - 0.25j * a.chest, rng.uniform(0.5, 1.1))


def _sitting(rng: np.random.Generator, a: Anatomy) -> list[Tube]:
    ground = 1.3 * a.waist
    paw = (ground - a.limb) * 1j
    radii = (a.waist * 1.3, a.waist * 1.2, a.chest, a.chest * 0.85)
    body = [
        _tail(rng, -0.42 + paw - 0.05j, a, rng.uniform(0.35, 0.7)),
        Tube((0.26 - 0.6j, 0.33 - 0.35j, 0.32 - 0.08j, 0.36 + paw), _foreleg_radii(a), Paint.FAR),
        Tube((-0.24 + 0j, -0.17 - 0.28j, -0.01 - 0.52j, 0.15 - 0.70j), radii, Paint.COAT),
        limb(-0.05 + paw, 0.16 + paw, a.limb, a.limb * 0.9, Paint.UNDER),
        limb(-0.22 + 0.02j, -0.10 + 0.06j, a.waist, a.waist * 0.8, Paint.COAT),
        Tube((0.16 - 0.6j, 0.22 - 0.35j, 0.22 - 0.08j, 0.25 + paw), _foreleg_radii(a), Paint.COAT),
        limb(0.25 + paw, 0.30 + paw, a.limb, a.limb * 0.8, Paint.UNDER),
    ]
    return body + _neck_and_head(rng, a, 0.17 - 0.75j, rng.uniform(1.0, 1.5))


def _lying(rng: np.random.Generator, a: Anatomy) -> list[Tube]:
    paw = (a.waist - a.limb) * 1j
    radii = (a.waist, a.waist * 0.95, (a.waist + a.chest) / 2, a.chest)
    joints = tuple(x + (a.waist - radius) * 1j for x, radius in zip((-0.44, -0.15, 0.14, 0.40), radii, strict=True))
    reach = rng.uniform(0.3, 0.5)
    body = [
        _tail(rng, -0.60 + 0.5 * paw, a, rng.uniform(0.3, 0.6)),
        Tube((0.44 + 0j, 0.50 + 0.6 * paw, 0.6 + paw, 0.54 + reach + paw), _foreleg_radii(a), Paint.FAR),
        Tube(joints, radii, Paint.COAT),
        limb(-0.20 + paw, 0.04 + paw, a.limb, a.limb * 0.9, Paint.UNDER),
        limb(-0.36 + 0.2j * a.waist, -0.22 + 0.3j * a.waist, a.waist * 0.85, a.waist * 0.7, Paint.COAT),
        Tube((0.36 + 0j, 0.42 + 0.7 * paw, 0.5 + paw, 0.42 + reach + paw), _foreleg_radii(a), Paint.COAT),
    ]
    return body + _neck_and_head(rng, a, 0.45 - 0.5j * a.chest, rng.uniform(0.7, 1.3))


def _facing(rng: np.random.Generator, a: Anatomy) -> list[Tube]:
    paw = (1.05 * a.waist - a.limb) * 1j
    body = [_tail(rng, 0.25 + 0.5 * paw, a, rng.uniform(0.2, 0.8), backward=0.0)]
    body += [limb(0.16 * s + 0j, 0.22 * s + 0.3 * paw, a.waist, a.waist * 0.75, Paint.COAT) for s in (-1, 1)]
    body.append(Tube((0j, -0.22j, -0.44j, -0.62j), (a.waist * 1.2, a.waist * 1.2, a.chest, a.chest * 0.8), Paint.COAT))
    body += [limb(0.26 * s + paw, 0.31 * s + paw, a.limb, a.limb, Paint.UNDER) for s in (-1, 1)]
    body.append(limb(-0.60j, -0.35j, a.chest * 0.55, a.chest * 0.35, Paint.UNDER))
    spread = rng.uniform(0.06, 0.12)
    for s in (-1, 1):
        joints = (1.1 * spread * s - 0.5j, 1.2 * spread * s - 0.25j, spread * s - 0.05j, spread * s + paw)
        body.append(Tube(joints, _foreleg_radii(a), Paint.COAT))
        body.append(limb(spread * s + paw, 1.1 * spread * s + paw + 0.02j, a.limb, a.limb, Paint.UNDER))
    at = rng.uniform(-0.08, 0.08) - (0.68 + 0.35 * a.neck + 0.7 * a.head) * 1j
    return [*body, limb(-0.6j, at, a.chest * 0.8, a.head * 0.7, Paint.COAT), *head(rng, a, at, frontal=True)]


def _portrait(rng: np.random.Generator, a: Anatomy) -> list[Tube]:
    frontal = rng.random() < 0.65
    shoulders = rng.uniform(-0.1, 0.1) - 0.1 * (not frontal) + (0.22 + 0.5 * a.neck + a.head) * 1j
    body = [
        limb(shoulders - 0.10, shoulders + 0.10, a.chest, a.chest, Paint.COAT),
        limb(shoulders + 0.15j, shoulders + 0.6j, a.chest * 1.25, a.chest * 1.3, Paint.COAT),
        limb(0j, shoulders, a.head * 0.75, a.chest * 0.9, Paint.COAT),
        limb(0.2j + shoulders, shoulders + 0.4j, a.chest * 0.5, a.chest * 0.4, Paint.UNDER),
    ]
    return body + head(rng, a, 0j, frontal)


_POSES = (_standing, _sitting, _lying, _facing, _portrait)


def _neck_and_head(rng: np.random.Generator, a: Anatomy, shoulder: complex, rise: float) -> list[Tube]:
    at = shoulder + (a.neck + 0.8 * a.head) * cmath.rect(1, -rise)
    neck = limb(shoulder, at, a.chest * 0.75, a.head * 0.75, Paint.COAT)
    return [neck, *head(rng, a, at, frontal=rng.random() < 0.5)]


def _foreleg(x: float, ground: float, stride: float, a: Anatomy, paint: Paint) -> Tube:
    joints = (x + 0j, x + 0.1 * stride + 0.45j * ground, x + 0.6 * stride + 0.75j * ground)
    return Tube((*joints, x + stride + (ground - a.limb) * 1j), _foreleg_radii(a), paint)


def _foreleg_radii(a: Anatomy) -> tuple[float, float, float, float]:
    return (a.chest * 0.55, a.limb * 1.15, a.limb * 0.9, a.limb)


def _hind_leg(x: float, ground: float, stride: float, a: Anatomy, paint: Paint) -> Tube:
    joints = (x + 0j, x + 0.03 + 0.33 * stride + 0.35j * ground, x - 0.02 + 0.67 * stride + 0.68j * ground)
    radii = (a.waist * 0.85, a.limb * 1.5, a.limb * 0.85, a.limb)
    return Tube((*joints, x + stride + (ground - a.limb) * 1j), radii, paint)


def _tail(rng: np.random.Generator, root: complex, a: Anatomy, lift: float, backward: float = np.pi) -> Tube:
    """Three equal steps from the root that bend upwards (lift 1) or downwards (0), a cat's tip often back again."""
    bend = (2 * lift - 1) * np.array([0.5, 1.0, 1.0]) * np.pi / 2
    bend[2] += rng.uniform(-1.0, 1.0)
    steps = a.tail / 3 * np.exp(1j * (backward + bend * (1 if backward else -1)))
    joints = (root, *(root + np.cumsum(steps)).tolist())
    slim = (1.1, 1.0, 0.95, 0.75) if a.species == "cat" else (1.3, 1.2, 1.0, 0.4)
    return Tube(joints, tuple(a.tail_radius * share for share in slim), Paint.POINT)
