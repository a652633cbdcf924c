"""What may not stand in one table: each check raises a UserError that names the files, in one line."""

from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError
from experiments.ablation.format import ArmContent, Plan, Trial

# Equally many pictures in equally many steps, and equally many choices among them on Val.
OF_STEPS = ("max_steps", "batch_size", "val_every")


def check_plan(path: Path, plan: Plan) -> None:
    """Refuse a plan that names a variant which it does not have."""
    named = [plan.baseline, *(variant.baseline for variant in plan.variants.values())]
    for name in named:
        if name is not None and name not in plan.variants:
            raise UserError(f"{path} names {name!r}, which is none of its variants ({', '.join(plan.variants)})")


def check_names(
    path_of_plan: Path, plan: Plan, arms: Sequence[tuple[Path, ArmContent]], trials: Sequence[tuple[Path, Trial]]
) -> None:
    """Refuse variants that the plan does not know, twins, and fractions with two numbers of labels."""
    seen: dict[tuple, Path] = {}
    labels: dict[float, tuple[Path, int]] = {}
    for path, content in [*arms, *trials]:
        name = content.arm
        if name.variant not in plan.variants:
            raise UserError(
                f"{path} is of the variant {name.variant!r}, which {path_of_plan} does not have: add it to the grid, "
                f"or move the file away"
            )
        last = name.seed if isinstance(content, ArmContent) else (name.seed, name.learning_rate)
        twin = seen.setdefault((path.parent.name, name.variant, name.fraction, last), path)
        if twin != path:
            raise UserError(f"{twin} and {path} hold the same arm: move one of them away")
        other, number = labels.setdefault(name.fraction, (path, content.num_labels))
        if number != content.num_labels:
            raise UserError(
                f"{other} and {path} have {number} and {content.num_labels} labels at the same fraction: they are of "
                f"different data; keep them in different folders"
            )


def check_same(first: tuple[Path, ArmContent], path: Path, content: ArmContent | Trial) -> None:
    """Refuse an arm or trial of other data, resolution, classes or images than the first arm."""
    known = first[1]
    check_data(first, path, content.data_sha256)
    if content.resolution != known.resolution:
        raise UserError(
            f"{first[0]} was trained at {known.resolution} px and {path} at {content.resolution} px: keep them in "
            f"different folders"
        )
    if isinstance(content, Trial):
        return
    if content.class_names != known.class_names:
        raise UserError(f"{first[0]} and {path} tell other classes apart: keep them in different folders")
    if content.per_image.keys() != known.per_image.keys():
        common = len(content.per_image.keys() & known.per_image.keys())
        raise UserError(
            f"{first[0]} and {path} were scored on different images ({len(known.per_image)} and "
            f"{len(content.per_image)}, {common} of them common): they cannot be compared"
        )


def check_data(first: tuple[Path, ArmContent], path: Path, data_sha256: str) -> None:
    """Refuse what comes from differently prepared data than the first arm."""
    if data_sha256 != first[1].data_sha256:
        raise UserError(
            f"{first[0]} and {path} are of differently prepared data ({first[1].data_sha256[:12]} and "
            f"{data_sha256[:12]}): keep them in different folders"
        )


def check_steps(plan: Plan, arms: Sequence[tuple[Path, ArmContent]]) -> None:
    """Refuse arms of one fraction that were trained or selected after other steps, unless they are controls."""
    known: dict[float, tuple[Path, ArmContent]] = {}
    for path, content in arms:
        if plan.variants[content.arm.variant].control:
            continue
        first, other = known.setdefault(content.arm.fraction, (path, content))
        for name in OF_STEPS:
            there, here = other.settings.get(name), content.settings.get(name)
            if there != here:
                raise UserError(
                    f"{first} and {path} are arms of one fraction with other {name} ({there} and {here}): say "
                    f"`control: true` of the variant that is meant to differ, or keep them in different folders"
                )
