"""Replay `advise` on public data sets: a few masks of each, and whether what was advised was best on unseen pictures.

Each user has all pictures of Train, masks of a few, and so much time that every training gets the same seconds. What is
advised is compared with what every way scores on Test with all the user's masks, the mean of two trainings, and the
forecast with what twice the masks brought. Finished replays are kept, a JSON each, and not done again; replay.json and
replay.md sum them up.

    python -m benchmarks.advise_replay --data_dirs data/pets96 data/isic96 data/roads96 data/voc96 --masks 10 20 40
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.replaying.summary import priors_of, row_of, summary_of
from benchmarks.replaying.users import User
from core.command import run_command
from core.errors import UserError
from core.files import atomic_path, write_json
from core.filing.json_file import read_json
from experiments.advice.evidence.weighing import TABLE


@dataclass(frozen=True)
class AdviseReplayConfig:
    """Which data sets, how many masks, how long."""

    data_dirs: tuple[Path, ...] = ()
    """Prepared public data sets with a background, pictures stretched to one size (--resize_mode stretch)."""
    masks: tuple[int, ...] = (10, 20, 40)
    """How many masks a user has: each number with each data set whose Train has twice as many."""
    seeds: tuple[int, ...] = (1,)
    """Which masks."""
    seconds: float = 60.0
    """Of each training."""
    size: int = 64
    """Side of the pictures, in pixels."""
    width: int = 8
    """Width of the network."""
    arms: tuple[str, ...] = ()
    """As of `advise`."""
    jobs: int = 2
    """Trainings side by side."""
    output_dir: Path = Path("benchmarks/results/advise_replay")
    """A JSON a replay, and what they say together."""
    work_dir: Path = Path("benchmarks/data/advise_replay")
    """Users' pictures and trainings."""
    adopt: bool = False
    """Have `advise` weigh what its folds say with what all these replays do: experiments/advice/evidence/prior.json, to
    be committed."""

    def __post_init__(self) -> None:
        for name in ("masks", "seeds"):
            if not getattr(self, name) or min(getattr(self, name)) < 1:
                raise UserError(f"{name}: give numbers from 1 upwards")
        if not 0 < self.seconds < float("inf") or self.jobs < 1:
            raise UserError("seconds must be above 0, jobs 1 or more")


def replay(config: AdviseReplayConfig) -> dict[str, Any]:
    """Replay what is not done yet, sum up all; returns the content of replay.json."""
    if not config.data_dirs:
        raise UserError("name prepared data sets: --data_dirs data/pets96 data/isic96")
    users, kept_in = list(_users(config)), config.output_dir / "replays"
    for path in sorted(kept_in.glob("*.json")):
        _require_like(path, config)
    for number, user in enumerate(users, 1):
        kept = kept_in / f"{user.name}.json"
        if kept.exists():
            continue
        print(f"\nreplay {number} of {len(users)}: {user.masks} masks of {user.data_dir.name}, seed {user.seed}")
        write_json(kept, _replayed(config, user))
    rows = [read_json(path) for path in sorted(kept_in.glob("*.json"))]
    content = summary_of(rows)
    write_json(config.output_dir / "replay.json", content)
    with atomic_path(config.output_dir / "replay.md") as temporary:
        temporary.write_text(_markdown(content), encoding="utf-8")
    print(_markdown(content))
    if config.adopt and not (found := priors_of(rows)):
        raise UserError("--adopt: replays of one data set say nothing of the next: add another to --data_dirs")
    if config.adopt:
        write_json(TABLE, {arm: asdict(prior) for arm, prior in found.items()})
        print(f"adopted: {TABLE}")
    return content


def _require_like(path: Path, config: AdviseReplayConfig) -> None:
    """Refuse a finished replay of other lengths or networks, which would be summed up with these."""
    row = read_json(path)
    for name in ("seconds", "size", "width"):
        if abs(row.get(name, 0) - getattr(config, name)) >= 1:
            raise UserError(f"{path} is of {name} {row.get(name)}: give another --output_dir")


def _users(config: AdviseReplayConfig) -> Iterator[User]:
    from data.opened import open_data

    for data_dir in config.data_dirs:
        manifest = open_data(data_dir).manifest
        if manifest.class_set.background is None:
            raise UserError(f"{data_dir} has no background, which the masks of a replay have: leave it out")
        there = manifest.counts["Train"].labelled
        for masks in config.masks:
            for seed in config.seeds if 2 * masks <= there else ():
                folder = config.work_dir / f"{data_dir.name}_{masks}_{seed}"
                yield User(data_dir, masks, seed, folder)


def _replayed(config: AdviseReplayConfig, user: User) -> dict[str, Any]:
    from benchmarks.replaying.truth import truth_of
    from experiments.advice.choices import folds_for, runs_of
    from experiments.advice.config import AdviseConfig
    from experiments.advise import advise

    user.make()
    words = user.words("user")
    arms = len(config.arms) + ("scratch" not in config.arms) if config.arms else 3
    rounds = -(-runs_of(arms, folds_for(user.masks, 0)) // config.jobs)
    asked = AdviseConfig(
        images=Path(words[1]),
        masks=Path(words[3]),
        classes=(words[5],),
        hours=rounds * config.seconds / 3600,
        size=config.size,
        width=config.width,
        arms=config.arms,
        jobs=config.jobs,
        final_model=False,
        output_dir=user.folder / "advice",
        seed=user.seed,
    )
    advice = advise(asked, priors={})  # the adopted ones are of these very data sets
    return row_of(user.name, advice, truth_of(user, advice, config.jobs, user.seed))


# What is shown of regrets, with so many digits; the mean counts each data set as one.
_SHOWN = {"near": 2, "near_by_data_set": 2, "median": 3, "mean": 3}
_COLUMNS = ("within .02 of the best", "the same by data set", "median regret", "mean regret by data set")


def _markdown(content: dict[str, Any]) -> str:
    from experiments.table_formats import Table, markdown

    cells = [
        [
            row["user"],
            row["advised"],
            "yes" if row["told_apart"] else "no",
            ", ".join(f"{arm} {score:.3f}" for arm, score in row["scores"].items()),
            f"{row['gain']:+.3f}",
            "–" if row["forecast"] is None else "{:+.3f} ({:+.3f} to {:+.3f})".format(*row["forecast"]),
        ]
        for row in content["rows"]
    ]
    heads = ["user", "advised", "told apart", "on Test", "twice the masks", "forecast"]
    parts = [markdown(Table("Replays of an advice", heads, cells, ["user"], []))]
    for name in ("with_outside_weights", "without_outside_weights"):
        rows = [
            [what, *(f"{found[name]:.{digits}f}" for name, digits in _SHOWN.items())]
            for what, found in content[name].items()
        ]
        columns = ["what is done", *_COLUMNS]
        parts.append(markdown(Table(name.replace("_", " ").capitalize(), columns, rows, ["what is done"], [])))
    return "\n\n".join([*parts, _of_forecasts(content["forecasts"])]) + "\n"


def _of_forecasts(found: dict[str, Any]) -> str:
    if not found["number"]:
        return "No forecast was made."
    none = found["no_change"]
    return (
        f"Of {found['number']} forecasts {found['coverage']:.0%} held; interval score {found['interval_score']:.3f}, "
        f"median width {found['median_width']:.3f}. No change, give or take what held in hindsight: "
        f"{none['interval_score']:.3f} and {none['median_width']:.3f}."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    command, section = "benchmarks.advise_replay", "advise_replay"
    return run_command(command, AdviseReplayConfig, replay, argv, section=section, description=str(__doc__))


if __name__ == "__main__":
    sys.exit(main())
