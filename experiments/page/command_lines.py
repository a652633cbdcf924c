"""The command lines that repeat a run, from the settings that it kept."""

import dataclasses
import json
import shlex
from functools import cache
from typing import Any

from core.train_config import NOT_COMPARED
from experiments.result_files import RESULT_FILES
from experiments.runs import Run
from reconstruction.config import ReconstructionConfig
from transfer_learning.config import SegmentationConfig

CONFIGS = {"reconstruction": ReconstructionConfig, "transfer_learning": SegmentationConfig}
# What the settings do not keep: the reader puts in their own place.
DATA, WEIGHTS, RUN = "DATA_FOLDER", "PHASE_1/best_model.safetensors", "RUN_FOLDER"
START = {
    "pretrained_encoder": WEIGHTS,
    "init_weights": "EARLIER_RUN/best_model.safetensors",
    "teacher_weights": "TEACHER/best_model.safetensors",
}
LINE = 96


def defaults(phase: str) -> dict[str, Any]:
    """Return a phase's default settings as plain JSON values."""
    return dict(_defaults(phase))


@cache
def _defaults(phase: str) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(CONFIGS[phase]()), default=str))


def changed(run: Run) -> dict[str, Any]:
    """Return the settings of a run that are not the defaults of its phase."""
    known = defaults(run.phase)
    return {name: value for name, value in run.training.items() if name in known and value != known[name]}


def unknown(run: Run) -> list[str]:
    """Return the settings of today that the run did not keep, because its version did not have them."""
    return [name for name in defaults(run.phase) if name not in (*run.training, *NOT_COMPARED)]


def training_command(run: Run) -> str:
    """Return the command that trains the same again, flags only where they differ from the defaults.

    Folders are those of the run folder where it is known, else words in capitals to be replaced.
    """
    settings = run.description.get("settings", {})
    flags = [["--data_dir", str(settings.get("data_dir", DATA))], ["--output_dir", _folder(run)]]
    for name, place in START.items():
        if run.training.get(f"{name}_sha256"):
            flags.append([f"--{name}", str(settings.get(name) or place)])
    given = changed(run)
    if str(given.get("encoder_weights")).startswith("sha256:"):
        given["encoder_weights"] = str(settings.get("encoder_weights") or "ENCODER_WEIGHTS.safetensors")
    flags += [flag(name, value) for name, value in given.items() if name != "extend_to"]
    command = _wrapped(f"python -m {run.phase}.train", flags)
    if longer := run.training.get("extend_to"):
        command += "\n" + _wrapped(f"python -m {run.phase}.train", [*flags, flag("extend_to", longer)])
    return command


def evaluation_command(run: Run) -> str:
    """Return the command that evaluates the run (again)."""
    data = run.description.get("settings", {}).get("data_dir", DATA)
    renamed = run.file and run.file.name not in RESULT_FILES  # beside others, which the command would write over
    results = run.file.parent if run.file and not renamed else f"{_folder(run)}/results"
    flags = [["--model_path", f"{_folder(run)}/best_model.safetensors"], ["--data_dir", str(data)]]
    flags.append(["--output_dir", str(results)])
    if run.provenance.split not in (None, "Test"):
        flags.append(["--split", run.provenance.split])
    if run.evaluation and run.evaluation.latent_space is not None:
        flags.append(["--analyze_latent_space"])
    return _wrapped(f"python -m {run.phase}.evaluate", flags)


def _folder(run: Run) -> str:
    return str(run.folder) if run.folder else RUN


def flag(name: str, value: Any) -> list[str]:
    """Return a setting as the words of a command line."""
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no_{name}"]
    values = value if isinstance(value, list) else [value]
    return [f"--{name}", *map(str, values)]


def _wrapped(command: str, flags: list[list[str]]) -> str:
    lines = [command]
    for flag in map(shlex.join, flags):
        if len(lines[-1]) + len(flag) > LINE:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {flag}"
    return "\n".join(lines)


def setting_names(phase: str) -> list[str]:
    """Return the settings of a phase in the order in which its `--help` shows them."""
    return [entry.name for entry in dataclasses.fields(CONFIGS[phase])]
