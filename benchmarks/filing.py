"""Where results go: a folder a processor, with what they were measured on and the command that measured them."""

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Settings that say where files lie, and nothing of what was measured.
PLACES = ("output_dir", "work_dir")
PEERS = ("segmentation-models-pytorch", "monai", "torchmetrics")


def write_results(
    config: Any,
    module: str,
    device: "torch.device",
    files: Mapping[str, Mapping[str, Any]],
    packages: tuple[str, ...] = (),
    **hardware: Any,
) -> Path:
    """Write JSON files into the processor's folder below `output_dir`; returns that folder.

    Args:
        config: the command's settings.
        module: the command.
        device: what computed.
        files: name -> content; `command`, `settings` and `hardware` are added.
        packages: whose versions matter beside those of every result.
        hardware: what else to say of it.
    """
    from core.files import write_json
    from core.machine.processor import processor
    from core.run.provenance import commit, machine, versions

    here = processor(device)
    fields = [field.name for field in dataclasses.fields(config) if field.name not in PLACES]
    common = {
        "command": command_line(module, config),
        "settings": {name: _told(getattr(config, name)) for name in fields},
        "hardware": {
            **machine(device),
            "kind": here.kind,
            **hardware,
            "versions": versions(*packages),
            "commit": commit(),
        },
    }
    folder = Path(config.output_dir, here.slug)
    for name, content in files.items():
        write_json(folder / file_name(name, config), {**content, **common})
    print(f"written to {folder}: {', '.join(file_name(name, config) for name in files)}")
    return folder


def file_name(name: str, config: Any) -> str:
    """Return a file's name, with an unusual size, and a single number of threads, in it: summary_256_1_thread.json."""
    usual = next(field.default for field in dataclasses.fields(config) if field.name == "size")
    stem, suffix = name.split(".")
    parts = [stem] if config.size == usual else [stem, str(config.size)]
    counts: tuple[int, ...] = getattr(config, "threads", ())
    if len(counts) == 1:
        parts += [str(counts[0]), "thread" if counts[0] == 1 else "threads"]
    return f"{'_'.join(parts)}.{suffix}"


def _told(value: Any) -> Any:
    """Return a setting as it is told: of a folder its name, which elsewhere lies in another place."""
    return value.name if isinstance(value, Path) else value


def command_line(module: str, config: Any) -> str:
    """Return the command that these settings came from, but for where its files lie."""
    words = ["python", "-m", module]
    for field in dataclasses.fields(config):
        value = _told(getattr(config, field.name))
        if field.name in PLACES or value == field.default:
            continue
        if isinstance(value, bool):
            words.append(f"--{field.name}" if value else f"--no_{field.name}")
        else:
            words += [f"--{field.name}", *map(str, value if isinstance(value, tuple) else (value,))]
    return shlex.join(words)
