"""Whether the data have the pictures without masks that a call's runs learn from, known before anything trains."""

from collections.abc import Iterator
from pathlib import Path

from core.errors import UserError
from experiments.grid.planning.variants import Plan


def require_pools(plan: Plan, data_dir: Path) -> None:
    """See that each pool has a picture, and none that Val or Test hold too.

    Raises:
        UserError: names the pretraining or variant, and what is wrong with its pool (`data.pool`).
    """
    pools = list(_pools(plan))
    if not pools:
        return
    from data.opened import open_data
    from data.pool import pool
    from data.prepared.described import Described, described

    data = open_data(data_dir)
    train = Described(**described(data_dir, data.manifest, "Train", data.records("Train")["Train"], "image"))
    for where, text, allowed in pools:
        try:
            data.require_apart(train, pool(train, text), allowed)
        except UserError as error:
            raise UserError(f"ablation.{where}: {error}") from None


def _pools(plan: Plan) -> Iterator[tuple[str, str, bool]]:
    """Yield each pool that this call needs: where it stands, how it is written, whether it may hold Val's or Test's."""
    allowed = plan.config.allow_seen
    chosen = [plan.variants[name] for name in plan.chosen]
    for name in dict.fromkeys(variant.pretraining for variant in chosen if variant.pretraining):
        config = plan.pretrainings[name].config
        yield f"pretraining.{name}", config.pictures, allowed or config.allow_seen
    for variant in chosen:
        if variant.config.learns_unlabelled:
            pool = variant.config.unlabelled_pictures
            yield f"variants.{variant.name}", pool, allowed or variant.config.allow_seen
