"""The results that earlier calls of an ablation left: whether they belong to its plan, and to each other."""

from collections import Counter
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from core.errors import UserError
from experiments.ablation.costs import Encoder
from experiments.ablation.format import KINDS, PhaseTwo, PretrainingRun, Result, Trial, read, results_of
from experiments.ablation.plan_format import PLAN, PlanContent
from experiments.evaluations import with_unit
from experiments.grid.planning.prepared import GridData
from experiments.grid.planning.variants import Plan, Pretraining, differing, nearest_fraction, plain

# Hundreds of results share a few settings.
_settings_of = cache(plain)
Found = list[tuple[Path, Result]]


def results_in(folder: Path) -> Found:
    """Return all results that a folder holds, those of a kind together."""
    return [found for kind in KINDS for found in results_of(folder, kind)]


def require_same_grid(plan: Plan, data: GridData, found_there: Found) -> None:
    """Compare every result that is there with the plan, before anything trains.

    Raises:
        UserError: names the first file that comes from other data or other settings, and the settings that differ.
    """
    folder = plan.config.results_dir
    for path, content in found_there:
        found = list(_other_data(content, data))
        what = "data" if found else "settings"
        found = found or list(_other_settings(content, plan))
        if found:
            raise UserError(f"{path} comes from other {what} ({'; '.join(found)}): choose another results_dir")
    if any(folder.glob("tuning/*.json")) or any(folder.glob("arms/*.json")):
        _require_same_tuning(
            plan, {content.arm.fraction for _, content in found_there if isinstance(content, PhaseTwo)}
        )


def _other_data(content: Result, data: GridData) -> Iterator[str]:
    if content.data_sha256 != data.sha256:
        yield f"data_sha256 {_short(content.data_sha256)} there, {_short(data.sha256)} now"
    if not isinstance(content, PretrainingRun) and content.resolution != data.resolution:
        yield f"resolution {with_unit(content.resolution)} there, {with_unit(data.resolution)} now"


def _other_settings(content: Result, plan: Plan) -> Iterator[str]:
    """Yield what differs; results of variants that the plan does not have are no business of it."""
    if isinstance(content, PretrainingRun):
        if planned := plan.all_pretrainings.get(content.name):
            yield from _other_pretraining(content, planned)
        return
    arm, variant = content.arm, plan.variants.get(content.arm.variant)
    if variant is None:
        return
    yield from differing(
        content.settings, _settings_of(variant.config), "transfer_learning", ("lr", "seed", "label_fraction")
    )
    name = content.pretraining.name if content.pretraining else None
    now = plan.pretraining_at(variant.pretraining, arm.seed) if variant.pretraining else None
    if name != (now and now.name):
        yield f"pretraining {name} there, {now and now.name} now"
    elif content.pretraining and now:
        yield from _other_pretraining(content.pretraining, now)
    if isinstance(content, Trial) and arm.seed != plan.config.seeds[0]:
        yield f"rates tuned with seed {arm.seed} there, {plan.config.seeds[0]} now"
    if arm.learning_rate not in plan.rates_of(variant):
        rates = ", ".join(f"{rate:g}" for rate in plan.rates_of(variant))
        yield f"learning rate {arm.learning_rate:g} there, one of {rates} now"


def _other_pretraining(content: PretrainingRun | Encoder, planned: Pretraining) -> Iterator[str]:
    for difference in differing(content.settings, _settings_of(planned.config), "reconstruction"):
        yield f"pretraining {planned.name}: {difference}"


def _require_same_tuning(plan: Plan, fractions: Collection[float]) -> None:
    """Raise UserError where the arms of one of the fractions that are there took their rates from another grid."""
    path = plan.config.results_dir / PLAN
    if not path.exists():
        return
    earlier = read(path, PlanContent)
    for name in ("learning_rates", "tuned_at"):
        there, now = (sorted(getattr(entry, name)) for entry in (earlier, plan.config))
        if there != now and not (name == "tuned_at" and _tuned_alike(plan, earlier, fractions)):
            raise UserError(
                f"{path}: {name} {there} there, {now} now; the arms' rates were chosen by that grid: "
                "choose another results_dir"
            )


def _tuned_alike(plan: Plan, earlier: PlanContent, fractions: Collection[float]) -> bool:
    """Say whether the rates of these fractions were chosen at the same places as now, wherever others were.

    A single rate is not chosen at all. The places of an early plan file are not known.
    """
    places = earlier.tuned_at
    alike = (nearest_fraction(fraction, places) == plan.tuned_at(fraction) for fraction in fractions if places)
    return len(plan.config.learning_rates) == 1 or (bool(places) and all(alike))


def mixed_encoders(results: Path, there: Found) -> list[str]:
    """Return a line for each pretraining of which the arms began with other weights than each other or its JSON."""
    found: dict[str, Counter[str]] = {}
    for _, content in there:
        origin = content if isinstance(content, PretrainingRun) else content.pretraining
        if origin:
            found.setdefault(origin.name, Counter())[str(origin.sha256)] += origin is not content
    return [
        f"the runs with pretraining {name} began with {len(shas)} different encoders "
        f"({', '.join(f'SHA-256 {_short(sha)}: {count} runs' for sha, count in sorted(shas.items()))}): "
        f"their scores mix them; remove the JSON files of all but one from {results} to have those trained again"
        for name, shas in sorted(found.items())
        if len(shas) > 1
    ]


def _short(sha256: str) -> str:
    return f"{sha256[:12]}…" if len(sha256) > 12 else sha256
