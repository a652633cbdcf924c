"""What an advice hands out: its page, the best way trained on every mask, masks of all pictures, the doubtful first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from core.errors import RunError
from core.extras import to_install
from core.files import atomic_path, write_csv, write_json
from core.filing.json_file import read_json
from experiments.advice.answer.held_back import scoring, with_test
from experiments.advice.answer.verdict import duration_of
from experiments.advice.arms import Arm
from experiments.advice.choices import FOR_FOLDS, MOST_STEPS
from experiments.advice.places import Places, weights
from experiments.advice.planning import Plan
from experiments.advice.running import Chain, run_all
from experiments.advice.situation import pictures_of
from transfer_learning.inference.places import TABLES

DOUBTFUL = 50
NOT_SCORED = "Other pictures than those were not scored."
FOR_TRAINING = 0.75  # of what is left for the final model; the rest is for masks of all pictures and the page


def write_advice(places: Places, content: Mapping[str, Any]) -> None:
    """Write advice.json and advice.md."""
    write_json(places.here / "advice.json", dict(content))
    conditions = (
        f"It holds for {content['hours']:g} hours on this machine: {content['size']} px, width {content['width']}, "
        f"{content['seconds_a_training']:.0f} s a training, {content['folds']} folds of {content['masks']} masks."
    )
    notes = [f"Note: {line}" for line in [*content["left_out"], *content["warnings"]]]
    text = "\n\n".join(["# Advice", *content["says"], conditions, *notes])
    with atomic_path(places.here / "advice.md") as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")


def hand_out(plan: Plan, arm: Arm, content: dict[str, Any]) -> dict[str, Any]:
    """Train the best way on every mask, segment every picture, write the page and the list of doubtful ones.

    Returns:
        the content of advice.json, with the score on the Test of --splits where there is one.
    """
    places, threads = plan.work.places, plan.slots * plan.threads
    run_all([_final_training(plan, arm)], "the final model", 1, threads)
    if plan.situation.test:
        run_all([scoring(places)], "its score on Test", 1, threads)
        content = with_test(content, places)
        write_advice(places, content)
    _predict(plan)
    _write_page(places, content)
    _write_card(plan, arm, content)
    _export(plan, arm)
    rows = doubtful(places.predictions / TABLES[0], set(plan.situation.labelled_files))
    if rows:
        write_csv(places.here / "doubtful.csv", list(rows[0]), rows)
        hours = duration_of(len(rows) * plan.config.minutes_per_mask)
        where = f"{places.here / 'doubtful.csv'}, some {hours} of drawing"
        print(f"{len(rows)} pictures that the final model is least sure of: {where}")
        words = f"--data_dir {places.whole} --model_path {weights(places.final)}"
        tool = plan.situation.annotated_in
        write, begun = (f" --write {tool}", ", with masks to begin from") if tool else ("", "")
        print(f"which to label next{begun}: ae-pretrained suggest {words}{write}")
    return content


def _final_training(plan: Plan, arm: Arm) -> Chain:
    """Return the training of an arm on every mask."""
    work, step = plan.work, plan.step_seconds[arm.name]
    seconds = (1 - FOR_FOLDS) * FOR_TRAINING * plan.config.hours * 3600
    steps = max(1, int(min(seconds / step, MOST_STEPS)))
    run = work.places.final
    command = work.training(arm, work.places.whole, run, steps)
    return Chain("the final model", (command,), run / "console.txt", weights(run), steps * step, run, keeps_state=True)


def _predict(plan: Plan) -> None:
    """Segment every picture that was listed, and nothing that lies beside them, by the final model."""
    from transfer_learning.predict import predict_files
    from transfer_learning.predict_config import PredictConfig

    places = plan.work.places
    written = places.predictions / TABLES[0]
    if written.is_file():
        return
    print("masks of all pictures", flush=True)
    how = PredictConfig(model_path=weights(places.final), output_dir=places.predictions)
    try:
        predict_files(how, pictures_of(plan.config.reading))
    except RunError as error:
        if not written.is_file():
            raise
        print(f"note: {error}")  # and the others are segmented


def doubtful(predictions: Path, labelled: set[str]) -> list[dict[str, Any]]:
    """Return the pictures without a mask that the final model is least sure of, the least sure first.

    Args:
        predictions: predictions.json.
        labelled: files with a mask, as they are named there, or without their suffix.
    """
    found = read_json(predictions)["pictures"]
    pictures = [one for one in found if labelled.isdisjoint((one["file"], one["file"].rpartition(".")[0]))]
    pictures.sort(key=lambda one: (one["confidence"], one["file"]))
    return [{"file": one["file"], "confidence": one["confidence"], "mask": one["mask"]} for one in pictures[:DOUBTFUL]]


def write_configs(plan: Plan) -> None:
    """Write a file a way, to train it again by: `train --config arms/scratch.yaml --data_dir ...`."""
    for arm in plan.arms:
        sections = plan.work.settings(arm)
        with atomic_path(plan.work.places.here / "arms" / f"{arm.name}.yaml") as temporary:
            text = yaml.safe_dump(sections, sort_keys=False, allow_unicode=True)
            temporary.write_text(f"{_how_to_train(arm, plan.work.places)}\n{text}", encoding="utf-8")


def _how_to_train(arm: Arm, places: Places) -> str:
    """Return the comment at the head of a way's file."""
    phase_1, phase_2 = (folder.relative_to(places.here) for folder in (places.with_val, places.whole))
    itself = f"--config arms/{arm.name}.yaml --data_dir"
    lines = [f"{arm.title[0].upper()}{arm.title[1:]}; within the folder of the advice:"]
    if arm.pretrained:
        lines.append(f"  ae-pretrained pretrain {itself} {phase_1} --output_dir again/phase_1")
    taken = f" --pretrained_encoder {weights(Path('again/phase_1'))}" if arm.pretrained else ""
    lines.append(f"  ae-pretrained train {itself} {phase_2}{taken} --output_dir again/{arm.name}")
    return "\n".join(f"# {line}" for line in lines)


def _write_card(plan: Plan, arm: Arm, content: Mapping[str, Any]) -> None:
    """Write MODEL_CARD.md beside the final model: what it is, what it learned from, what it may score."""
    names = content["class_set"]["names"]
    outside = "ImageNet's weights (EfficientNet-Lite0)" if arm.outside else "none"
    tested = content["test"]["says"] if "test" in content else NOT_SCORED
    weighed = content["arms"][arm.name]["weighed"]
    with_others = " weighed with public data sets" if weighed and weighed["data_sets"] else ""
    text = [
        "# Model card",
        f"A segmentation network for {len(names)} classes: {', '.join(names)}.",
        f"- **Trained on** {content['masks']} pictures with masks of `{plan.config.images}`"
        + (f" and {content['unlabelled']} without, by {arm.title}." if arm.unlabelled else f", by: {arm.title}."),
        f"- **Outside weights**: {outside}.",
        f"- **Pictures** are seen at {content['size']} px.",
        f"- **Expected**: {content['says'][0]} Of the way that was taken: {content['expected']:.2f}, folds over the "
        f"pictures with masks{with_others}. {tested}",
        "- **Licence**: that of your pictures.",
        *(f"- **Mind**: {line}." for line in content["warnings"]),
    ]
    with atomic_path(plan.work.places.final / "MODEL_CARD.md") as temporary:
        temporary.write_text("\n\n".join(text) + "\n", encoding="utf-8")


def _export(plan: Plan, arm: Arm) -> None:
    """Write the final model for other programs, as far as the extra `export` is there, and an encoder of timm alone."""
    from importlib.util import find_spec

    places = plan.work.places
    formats = (["onnx"] if find_spec("onnx") and find_spec("onnxscript") and find_spec("onnxruntime") else []) + (
        ["encoder_timm", "encoder_smp"] if "encoder" in arm.settings else []
    )
    if "onnx" not in formats:
        print(f"note: no ONNX: {to_install('export')}, and ae-pretrained export --format onnx writes it")
    chains = []
    for form in formats:
        folder = places.here / "exported" / form
        words = ["--model_path", str(weights(places.final)), "--format", form, "--output_dir", str(folder)]
        leaves = folder / ("model.onnx.json" if form == "onnx" else "encoder.pt.json")
        said = folder.parent / f"{form}.txt"
        chains.append(Chain(f"writing {form}", (["transfer_learning.export", words],), said, leaves, 30.0, folder))
    run_all(chains, "writing the model for other programs", 1, plan.threads)


def _write_page(places: Places, content: Mapping[str, Any]) -> None:
    from experiments.report import render
    from experiments.runs import find_runs

    page, _ = render(find_runs([places.final]), content)
    with atomic_path(places.here / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
