"""Whether the data have the pictures without masks that a call's runs learn from, known before anything trains."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import UserError
from experiments.grid.planning.prepared import TrainLabels, described_train, train_labels
from experiments.grid.planning.variants import Plan


@dataclass(frozen=True)
class Pool:
    """A pool that a call needs.

    Attributes:
        where: the part of the settings that it stands in.
        text: how it is written.
        seen: whether it may hold pictures of Val or Test.
        unlabelled: whether it needs a picture beside those whose masks are learned from.
    """

    where: str
    text: str
    seen: bool
    unlabelled: bool


def require_pools(plan: Plan, data_dir: Path) -> None:
    """See that each pool has a picture, none that Val or Test hold, and in phase 2 one whose mask is not learned from.

    Raises:
        UserError: names the pretraining or variant, and what is wrong with its pool (`data.pool`).
    """
    pools = list(_pools(plan))
    if not pools:
        return
    from data.opened import open_data
    from data.pool import pool

    data = open_data(data_dir)
    train = described_train(data)
    labels = train_labels(data)
    for one in pools:
        try:
            chosen = pool(train, one.text)
            data.require_apart(train, chosen, one.seen)
            if one.unlabelled:
                _require_unlabelled(plan, labels, {train.names[index] for index in chosen})
        except UserError as error:
            raise UserError(f"ablation.{one.where}: {error}") from None


def _require_unlabelled(plan: Plan, labels: TrainLabels, pool: set[str]) -> None:
    trained = {*plan.config.fractions}
    if len(plan.config.learning_rates) > 1:
        trained |= {plan.tuned_at(fraction) for fraction in trained}
    for fraction in sorted(trained):
        for seed in plan.config.seeds_at(fraction):
            if pool <= {*labels.chosen(fraction, seed)}:
                raise UserError(
                    f"it learns from pictures without masks, and at fraction {fraction:g} the masks of all {len(pool)} "
                    "of its pool are learned from: leave that fraction or this variant out (--fractions, --variants)"
                )


def _pools(plan: Plan) -> Iterator[Pool]:
    allowed = plan.config.allow_seen
    for name in plan.begun_with:
        config = plan.pretrainings[name].config
        yield Pool(f"pretraining.{name}", config.pictures, allowed or config.allow_seen, unlabelled=False)
    for variant in plan.trained:
        if variant.config.learns_unlabelled:
            pool = variant.config.unlabelled_pictures
            yield Pool(f"variants.{variant.name}", pool, allowed or variant.config.allow_seen, unlabelled=True)
