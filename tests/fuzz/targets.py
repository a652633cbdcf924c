"""What is damaged: a row each."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from fuzz import again, flags, scenes
from fuzz.scenes import Place, Scene


@dataclass(frozen=True)
class Target:
    """One kind of input.

    Attributes:
        name: the first part of its cases' names.
        set: sets a case up.
        share: of the cases, compared with the other targets.
        strict: whole and damaged inputs may not differ in what comes out without a word about it. Else another valid
            input may have come out of the damage.
        forgeries_too: neither may inputs that are well-formed, but altered by hand.
    """

    name: str
    set: Callable[[Place, Random], Scene]
    share: int = 2
    strict: bool = False
    forgeries_too: bool = False


TARGETS = {
    target.name: target
    for target in (
        Target("pictures", scenes.pictures, 4, strict=True),
        Target("masks", scenes.masks, 4, strict=True),
        Target("annotations", scenes.annotations, 4),
        Target("predicted", scenes.predicted_pictures, 4, strict=True),
        Target("inspected", scenes.inspected),
        Target("classes", scenes.classes_file),
        Target("lists", scenes.lists, 3),
        Target("archives", scenes.archive, 3, strict=True),
        Target("layout", scenes.layout),
        Target("inputs", again.prepared, 2, strict=True),
        Target("journal", again.stopped, 2, strict=True),
        Target("manifest", scenes.manifest, 4, strict=True, forgeries_too=True),
        Target("prepared", scenes.prepared_pictures, 3, strict=True, forgeries_too=True),
        Target("arrays", scenes.arrays, 3, strict=True, forgeries_too=True),
        Target("weights", scenes.weights, 5, strict=True, forgeries_too=True),
        Target("state", scenes.state, 4, strict=True),
        Target("results", scenes.tables, 3),
        Target("report", scenes.report, 3),
        Target("ablation", scenes.ablation_tables, 3),
        Target("speeds", scenes.speeds),
        Target("runs", scenes.finished_runs, 3),
        Target("config", scenes.config, 4),
        Target("flags", flags.flags, 5),
    )
}


def case_names(count: int, targets: list[str], first: int = 0) -> list[str]:
    """Return the names of so many cases, shared out, in an order that does justice to all targets at any time."""
    shares = {name: TARGETS[name].share for name in targets}
    total = sum(shares.values())
    order = [
        ((number + 0.5) / share, f"{name}:{first + number}")
        for name, share in shares.items()
        for number in range(-(-count * share // total))
    ]
    return [name for _, name in sorted(order)][:count]
