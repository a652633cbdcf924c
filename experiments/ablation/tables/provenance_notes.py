"""Where the arms of a difference come from, when not all from the same: sentences for below the tables."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from core.train_config import BEFORE_CHOICE
from experiments.ablation.budgets import standings
from experiments.ablation.checks import OF_STEPS
from experiments.ablation.differences import VariantDifference
from experiments.ablation.results import Arm
from experiments.ablation.statistics import Analysis, Group
from experiments.table_formats import share

# By whether each seed has its own.
OF_PHASE_1 = {
    False: "Each phase 1 was trained once, and all arms of a variant begin with it: the intervals hold for these "
    "pretrained weights, and leave out what phase 1 with another seed would change.",
    True: "Each phase 1 was trained once a seed, and arms begin with that of their seed: the intervals hold what phase "
    "1 with another seed would change.",
}
# A variant, what it is compared with, and by how much it is ahead.
Pair = tuple[Group, Group | None, VariantDifference]
SHORT = 7  # characters of a commit or a checksum that tell it from others


def origin_notes(analysis: Analysis) -> list[str]:
    """Return a sentence for each thing that moves scores and is not the same in both arms of some difference.

    That is memory layout and kernels, the kind of device, the steps of a control, and the weights of a
    pretraining that was made more than once; of commits and versions only that there are several.
    """
    after_equal_steps = [
        (group, analysis.get(group.fraction, group.difference.baseline), group.difference)
        for group in analysis.groups
        if group.difference
    ]
    within_a_budget = [(group, field.baseline, difference) for field, group, difference in standings(analysis)]
    every = [*after_equal_steps, *within_a_budget]
    notes = [
        *_mixed(every, "Memory layouts mixed in one difference", lambda arm: _setting(arm, "memory_format")),
        *_mixed(every, "Kernels mixed in one difference", lambda arm: _setting(arm, "kernels")),
        *_mixed(every, "Kinds of device mixed in one difference", _device),
        *_mixed(after_equal_steps, "Controls after other steps than their baseline", _steps),
        *_pretrainings(analysis),
    ]
    origins = [arm.content.provenance for arm in analysis.ablation.arms]
    commits = Counter((origin.commit or "not noted") for origin in origins)
    if len(commits) > 1:
        told = ", ".join(f"{_short_commit(commit)} ({number})" for commit, number in commits.items())
        notes.append(f"Arms of several commits of this code (arms): {told}.")
    return notes + _versions(origin.versions for origin in origins)


def phase_1_notes(analysis: Analysis) -> list[str]:
    """Say whether the intervals hold what another seed of phase 1 would change; variants by name where that differs."""
    plan, kinds = analysis.ablation.plan, {False: dict[str, None](), True: dict[str, None]()}
    for arm in analysis.ablation.arms:
        if arm.content.pretraining:
            kinds[plan.is_paired(arm.content)].setdefault(arm.name.variant)
    found = [(OF_PHASE_1[paired], variants) for paired, variants in kinds.items() if variants]
    if len(found) < 2:
        return [text for text, _ in found]
    return [f"{', '.join(variants)}: {text[0].lower()}{text[1:]}" for text, variants in found]


def _setting(arm: Arm, name: str) -> str:
    return str(arm.content.settings.get(name, BEFORE_CHOICE.get(name, "not noted")))


def _device(arm: Arm) -> str:
    return arm.content.compute.device.split(" (")[0]  # without the number of threads


def _steps(arm: Arm) -> str:
    return ", ".join(f"{name} {_setting(arm, name)}" for name in OF_STEPS)


def _mixed(pairs: Sequence[Pair], what: str, of: Callable[[Arm], str]) -> list[str]:
    places = []
    for group, others, difference in pairs:
        if difference.value is None or others is None:
            continue
        mine, theirs = (
            list(dict.fromkeys(of(arm) for arm in side.arms if arm.name.seed in difference.seeds))
            for side in (group, others)
        )
        if len({*mine, *theirs}) > 1:
            pair = f"{' and '.join(mine)} against {' and '.join(theirs)}"
            places.append(f"{group.variant} at {share(group.fraction)} ({pair})")
    return [f"{what}: {'; '.join(dict.fromkeys(places))}."] if places else []


def _pretrainings(analysis: Analysis) -> list[str]:
    """Name the pretrainings whose arms began with different weights."""
    variants: dict[str, dict[str, list[str]]] = {}
    for arm in analysis.ablation.arms:
        encoder = arm.content.pretraining
        if encoder and encoder.sha256:
            variants.setdefault(encoder.name, {}).setdefault(encoder.sha256, []).append(arm.name.variant)
    return [
        f"The pretraining {name} was made {len(made)} times with different weights, and arms began with each: "
        + "; ".join(f"{sha[:SHORT]} in {', '.join(dict.fromkeys(users))}" for sha, users in made.items())
        + "."
        for name, made in variants.items()
        if len(made) > 1
    ]


def _versions(found: Iterable[Mapping[str, str]]) -> list[str]:
    seen: dict[str, dict[str, None]] = {}
    for versions in found:
        for library, version in versions.items():
            seen.setdefault(library, {})[version] = None
    several = [f"{library} {', '.join(versions)}" for library, versions in seen.items() if len(versions) > 1]
    return [f"Arms of several versions: {'; '.join(several)}."] if several else []


def _short_commit(commit: str) -> str:
    number, changed, _ = commit.partition("+changes")
    return (number if number == "not noted" else number[:SHORT]) + changed
