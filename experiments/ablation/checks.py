"""What may not stand in one table: each check raises a UserError that names the files, in one line."""

from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError
from experiments.ablation.format import MADE_AGAIN, ArmContent, PhaseTwo, PretrainingRun, Trial
from experiments.ablation.plan_format import PlanContent
from experiments.evaluations import same_classes, with_unit

# Equally many pictures in equally many steps, and equally many choices among them on Val.
OF_STEPS = ("max_steps", "batch_size", "val_every")


def check_plan(path: Path, plan: PlanContent) -> None:
    """Refuse a plan that names a variant which it does not have."""
    named = [plan.baseline, *(variant.baseline for variant in plan.variants.values())]
    for name in named:
        if name is not None and name not in plan.variants:
            raise UserError(
                f"{path} names {name!r}, which is none of its variants ({', '.join(plan.variants)}): {MADE_AGAIN}"
            )


def check_names(
    path_of_plan: Path, plan: PlanContent, arms: Sequence[tuple[Path, ArmContent]], trials: Sequence[tuple[Path, Trial]]
) -> None:
    """Refuse variants that the plan does not know, twins, and fractions with two numbers of labels."""
    seen: dict[tuple, Path] = {}
    labels: dict[tuple[float, int], tuple[Path, int]] = {}  # where groups are drawn seeds may come to other numbers
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
        other, number = labels.setdefault((name.fraction, name.seed), (path, content.num_labels))
        if number != content.num_labels:
            raise UserError(
                f"{other} and {path} have {number} and {content.num_labels} labels at the same fraction: they are of "
                f"different data; keep them in different folders"
            )


def check_same(first: tuple[Path, ArmContent], path: Path, content: PhaseTwo) -> None:
    """Refuse an arm or trial of other resolution, classes or images than the first arm."""
    known = first[1]
    if content.resolution != known.resolution:
        sizes = [with_unit(resolution) for resolution in (known.resolution, content.resolution)]
        raise UserError(
            f"{first[0]} was trained at {sizes[0]} and {path} at {sizes[1]}: keep them in different folders"
        )
    if not isinstance(content, ArmContent):
        return
    if not same_classes(content.class_set, known.class_set):
        raise UserError(f"{first[0]} and {path} tell other classes apart: keep them in different folders")
    if content.per_image.keys() != known.per_image.keys():
        common = len(content.per_image.keys() & known.per_image.keys())
        raise UserError(
            f"{first[0]} and {path} were scored on different images ({len(known.per_image)} and "
            f"{len(content.per_image)}, {common} of them common): they cannot be compared"
        )


def check_data(
    arms: Sequence[tuple[Path, ArmContent]], others: Sequence[tuple[Path, Trial] | tuple[Path, PretrainingRun]]
) -> None:
    """Refuse arms of one format from differently prepared data, and other files from data that no arm comes from.

    Between formats the fingerprint of the same pictures may differ: there names and true pixels decide.
    """
    first: dict[str, tuple[Path, str]] = {}
    for path, arm in arms:
        first.setdefault(arm.format, (path, arm.data_sha256))
    known = {sha256 for _, sha256 in first.values()}
    for path, content in [*arms, *others]:
        there, sha256 = first[content.format] if isinstance(content, ArmContent) else next(iter(first.values()))
        if content.data_sha256 not in ({sha256} if isinstance(content, ArmContent) else known):
            raise UserError(
                f"{there} and {path} are of differently prepared data ({sha256[:12]} and {content.data_sha256[:12]}): "
                f"keep them in different folders"
            )


def check_precision(arms: Sequence[tuple[Path, ArmContent]]) -> None:
    """Refuse arms that computed in another precision, which moves scores as a variant may; before, it was fp32."""
    first, known = arms[0]
    there = known.settings.get("amp", "off")
    for path, content in arms[1:]:
        here = content.settings.get("amp", "off")
        if here != there:
            raise UserError(f"{first} was trained with amp {there} and {path} with {here}: keep them in other folders")


def check_steps(plan: PlanContent, arms: Sequence[tuple[Path, ArmContent]]) -> None:
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
