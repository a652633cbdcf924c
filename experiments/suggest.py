"""Say which pictures to label next, of those in Train of prepared data that have no mask.

With weights of phase 1: typical pictures, one from each cluster of the encoder's features. With weights of phase 2:
those of which the network is unsure, each class in turn. Few ways beat chance, so --replay measures first, on your
labelled pictures, whether this one does; where it does not, the pictures are drawn at random. Writes suggestion.csv,
contact_sheet.png, suggestion.json, and with --write pre-annotations to correct in a labelling tool (docs/labelling.md).

    ae-pretrained suggest --data_dir data/mine --model_path runs/mine/best_model.safetensors --number 20 --write coco
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.command import run_command
from core.errors import UserError
from core.filing.kinds import SUGGESTION, held
from core.filing.writing import sole_writer
from experiments.suggestion.config import SuggestConfig, Way

if TYPE_CHECKING:
    import numpy as np

    from data.opened import Data
    from data.split import Split
    from experiments.suggestion.choice import Choice
    from experiments.suggestion.replay import Replayed
    from experiments.suggestion.weights import Weights

SHOWN = 20  # on the screen


def suggest(config: SuggestConfig) -> dict[str, Any]:
    """Look, perhaps replay, choose, write; returns the content of suggestion.json.

    Raises:
        UserError: no picture to choose, fewer than asked for, or weights that do not fit them or the way.
        RunError: a training of the replay failed; the same command goes on.
    """
    from data.opened import open_data

    _require_weights(config)
    data = open_data(config.data_dir, config.cache_dir)
    split = _train(data, config)
    with sole_writer(config.output_dir, sweeps=False):
        return _suggest(config, data, split)


def _suggest(config: SuggestConfig, data: "Data", split: "Split") -> dict[str, Any]:
    from experiments.suggestion.choosing import Among
    from experiments.suggestion.weights import features_of, load, predicted_of
    from experiments.suggestion.writing import originals_of, require_originals

    weights = load(config.model_path, split, config.device) if config.model_path else None
    way = _way(config, weights)
    candidates = (split.label_rows < 0).nonzero()[0].tolist()
    _require_untouched(config)
    if config.write is not None:
        require_originals(split, originals_of(split), candidates)
    features = features_of(weights, split, config.batch_size) if weights and way == "typical" else None
    replayed = _replay(config, way, data, split, weights, features) if config.replay else None
    final: Way = "random" if replayed and not replayed.beats and config.way == "auto" else way
    predicted = None
    if weights and weights.network and final != "typical":
        predicted = predicted_of(weights.network, split, candidates, config.batch_size)
    among = Among(split, split.labelled.tolist(), candidates, features, predicted)
    choices = among.choose(final, config.number, config.beta, config.seed)
    return _write(config, data, split, weights, final, choices, replayed)


def _require_weights(config: SuggestConfig) -> None:
    if config.model_path is None and config.way != "random":
        raise UserError(
            "give the weights of a training run, of either phase: --model_path runs/.../best_model.safetensors (or "
            "--way random, which needs none)"
        )
    if config.model_path is None and config.write is not None:
        raise UserError("--write needs weights of phase 2, which predict the masks: give --model_path")


def _train(data: "Data", config: SuggestConfig) -> "Split":
    """Open Train; raises UserError where there is too little to choose from."""
    from data.split import Split

    if data.manifest.dims == 3:
        raise UserError(f"{data.data_dir} holds volumes: suggest chooses among pictures")
    count = data.manifest.counts["Train"]
    left = count.images - count.labelled
    if not left:
        raise UserError(f"{data.data_dir}: every picture of Train has a mask: prepare it again with new pictures")
    if config.number > left:
        raise UserError(f"--number {config.number} is more than the {left} pictures of Train without a mask")
    split = data.split("Train")
    assert isinstance(split, Split), "pictures"
    return split


def _way(config: SuggestConfig, weights: "Weights | None") -> Way:
    """Return the way that is asked for, or that weights have; raises UserError where they cannot have it."""
    of_phase_2 = weights is not None and weights.network is not None
    if not of_phase_2:
        for asked, flag in ((config.way == "uncertain", "--way uncertain"), (config.write is not None, "--write")):
            if asked:
                raise UserError(f"{flag} needs weights of phase 2, {config.model_path} is of phase 1: train phase 2")
    if config.way != "auto":
        return config.way
    return "uncertain" if of_phase_2 else "typical"


def _require_untouched(config: SuggestConfig) -> None:
    """Raise UserError where others' files would be lost, or pre-annotations that a person may have corrected."""
    from core.filing.writing import UNFINISHED
    from experiments.suggestion.writing import ANNOTATIONS, CONTENT, LIST, SHEET

    here = config.output_dir
    if SUGGESTION not in held(here) and not (here / UNFINISHED).exists():
        for file in (LIST, SHEET, CONTENT):
            if (here / file).exists():
                raise UserError(f"{here / file} is there, and of no earlier suggestion: choose another --output_dir")
    elif (here / ANNOTATIONS).exists():
        raise UserError(
            f"{here / ANNOTATIONS} holds pre-annotations of an earlier call, which you may have corrected: choose "
            "another --output_dir"
        )


def _replay(
    config: SuggestConfig,
    way: Way,
    data: "Data",
    split: "Split",
    weights: "Weights | None",
    features: "np.ndarray | None",
) -> "Replayed":
    from experiments.suggestion.replay import Replay, folder_of

    assert weights is not None, "--replay goes with a way that looks"
    if way == "typical":  # whose features the trainings' choice rests on
        data.require_unseen(weights.path, weights.header.seen, config.allow_seen, "Val")
    folder = folder_of(config, way, data.fingerprint, weights.path)
    replay = Replay(config, way, data, split, folder, weights.header.network.width, features)
    replay.require_possible()
    return replay.run()


def _says(config: SuggestConfig, way: Way, replayed: "Replayed | None") -> list[str]:
    """Return what the suggestion says of itself, a sentence each."""
    from core.evaluation import counted

    chosen = f"{counted(config.number, 'picture')} of Train to label next, chosen by: {way}."
    if replayed:
        instead = " So they are drawn at random." if way == "random" else ""
        return [chosen, replayed.in_words() + instead]
    if way == "random":
        return [chosen]
    return [chosen, "Whether that beats random here was not measured, and most ways do not: --replay measures it."]


def _write(
    config: SuggestConfig,
    data: "Data",
    split: "Split",
    weights: "Weights | None",
    way: Way,
    choices: "Sequence[Choice]",
    replayed: "Replayed | None",
) -> dict[str, Any]:
    from core.figures.style import drawn
    from core.files import write_csv, write_json
    from core.filing.writing import replacing
    from experiments.suggestion import writing

    originals = writing.originals_of(split)
    names = writing.file_names(split, originals)
    rows = writing.rows_of(choices, names)
    content: dict[str, Any] = {
        "format": "suggestion 1",
        "way": way,
        "says": _says(config, way, replayed),
        "candidates": len(split.names) - len(split.labelled),
        "labelled": len(split.labelled),
        "replay": replayed.content() if replayed else None,
        "pictures": rows,
        "provenance": writing.provenance(config, data, weights),
    }
    if config.write is not None:
        writing.write_annotations(config, split, choices, originals, names)
    with replacing(config.output_dir) as folder:
        write_csv(folder / writing.LIST, list(rows[0]), rows)
        drawn(folder / writing.SHEET, writing.save_sheet, split, choices, names, weights, config.batch_size)
        write_json(folder / writing.CONTENT, content)
    print(
        "\n".join(["", *content["says"], *(f"  {row['rank']:>3}  {row['file']}: {row['why']}" for row in rows[:SHOWN])])
    )
    print(f"written to {config.output_dir / writing.LIST}, pictures in {config.output_dir / writing.SHEET}")
    return content


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("experiments.suggest", SuggestConfig, suggest, argv, section="suggest", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
