"""Say what to do with your pictures: train from scratch, learn from those without masks, take ImageNet's weights, or
draw more masks.

Looks at the pictures, chooses size, network and length of training from them and from the machine, and tries each way
in folds: every mask is held out once, and nothing is chosen by it; what --splits calls test scores the final model
alone. The best way is trained again with fewer labels, for the forecast, and last on all masks, for the masks of all
pictures. Writes advice.json, advice.md, report.html, the final model, predictions and the list of doubtful pictures.
The same command goes on where it was stopped.

    ae-pretrained advise --images photos --masks masks --hours 2 --output_dir runs/advice
"""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.command import run_command
from core.filing.writing import leaving_nothing_empty, lock
from core.terminal.progress import duration
from experiments.advice.config import AdviseConfig

if TYPE_CHECKING:
    from experiments.advice.evidence.weighing import Prior
    from experiments.advice.planning import Tried


def advise(config: AdviseConfig, priors: "Mapping[str, Prior] | None" = None) -> dict[str, Any]:
    """Look, try, say; returns the content of advice.json.

    Args:
        config: what is asked.
        priors: of what each way brings; left out: those of the replay study.

    Raises:
        UserError: the pictures cannot be used, there are too few masks, or too little time.
        RunError: a training failed; the same command goes on.
    """
    from experiments.advice.planning import tried_of

    config.require_images()
    begun = time.monotonic()
    tried = tried_of(config)
    with leaving_nothing_empty(config.output_dir):
        held = lock(config.output_dir, "--output_dir", "advice")
        try:
            content = _advise(config, tried, priors)
        finally:
            held.release()
    print(f"\ndone in {duration(time.monotonic() - begun)}: {config.output_dir / 'advice.md'}\n")
    print("\n".join(content["says"]))
    return content


def _advise(config: AdviseConfig, tried: "Tried", given: "Mapping[str, Prior] | None") -> dict[str, Any]:
    from experiments.advice.answer.handing_out import hand_out, write_advice, write_configs
    from experiments.advice.answer.verdict import Asked, content_of
    from experiments.advice.evidence.reading import Measure, curves_of, found_of
    from experiments.advice.evidence.weighing import priors as adopted
    from experiments.advice.places import Places
    from experiments.advice.planning import plan_of
    from experiments.advice.running import run_all

    plan = plan_of(config, tried, Places(config.output_dir))
    plan.tell()
    write_configs(plan)
    work, masks = plan.work, plan.situation.masks
    if any(arm.pretrained for arm in plan.arms):
        run_all([work.phase_1()], "phase 1", 1, plan.slots * plan.threads)
    run_all(list(work.of_arms()), "trainings in folds", plan.slots, plan.threads)
    priors = adopted() if given is None else given
    found = found_of(work.places, plan.arms, work.folds, masks, Measure.of(plan.situation.classes), priors)
    run_all(list(work.with_fewer_labels(found.best.arm)), "with fewer labels", plan.slots, plan.threads)
    asked = Asked(masks, config.more or masks, config.goal, config.minutes_per_mask)
    curves = curves_of(work.places, found, work.folds, config.seed, priors)
    content = {**plan.conditions(), **content_of(found, curves, asked)}
    write_advice(work.places, content)
    if config.final_model:
        content = hand_out(plan, found.best.arm, content)
    return content


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("experiments.advise", AdviseConfig, advise, argv, section="advise", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
