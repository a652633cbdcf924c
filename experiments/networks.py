"""Compare the networks of an ablation's variants in one table: parameters, multiply-adds, size on disk; with --measure
images a second and memory, of inference and of training, on this machine.

NAME is a recipe (`ae-pretrained recipe --list`) or a file of your own with a section `ablation`, whose variants are
read as `ablate` reads them. Nothing is trained, and no data are needed: pictures are as large as the file's section
`data` prepares them, or as --size or --data_dir say. With --measure the networks take turns at a batch each, and the
peak of memory is that of a process of its own. With --output_dir writes networks.json and networks.md.

    ae-pretrained networks camvid_architectures --num_classes 11
    ae-pretrained networks camvid_architectures --num_classes 11 --measure --output_dir runs/networks
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tyro.conf import Positional, arg

from core.command import run_command
from core.config import from_mapping, read_section
from core.errors import UserError
from core.files import atomic_path, read_text, write_json
from core.filing.kinds import FOLDERS
from core.filing.seal import Seal, files_in, seal_of
from core.filing.writing import replacing, sole_writer
from data.prepare_config import PrepareConfig
from experiments.grid.config import AblationConfig
from experiments.grid.planning.plan import build_plan
from experiments.grid.planning.variants import Variant
from experiments.recipe import file_of
from experiments.table_formats import markdown

if TYPE_CHECKING:
    from experiments.architectures.drawn import Pictures

JSON, MARKDOWN = "networks.json", "networks.md"
OF_PICTURES = ("size", "num_classes", "in_channels")


@dataclass(frozen=True)
class NetworksConfig:
    """Whose networks are compared, on which pictures, and whether they are measured."""

    writes: ClassVar[dict[str, str]] = {"output_dir": FOLDERS}

    name: Positional[Annotated[str, arg(metavar="NAME")]] = ""
    """A recipe, or the path of a file of your own."""
    variants: tuple[str, ...] = ()
    """These variants of the file. Left out: all."""
    data_dir: Path | None = None
    """Prepared data: their size, classes and channels count. No picture is read."""
    size: int | str | None = None
    """Side of the pictures, or HEIGHTxWIDTH. Left out: that of --data_dir, or of the file's section data."""
    num_classes: int | None = None
    """Classes to tell apart; needed without --data_dir."""
    in_channels: Literal[1, 3] = 3
    """Channels of the pictures: 1 where they are grey."""
    measure: bool = False
    """Measure images a second and the peak of memory too, which takes minutes."""
    rounds: int = 5
    """With --measure: how often each network is timed."""
    device: str = "auto"
    """With --measure: auto, cpu, cuda or cuda:1."""
    output_dir: Path | None = None
    """Write networks.json and networks.md there. Left out: the table is printed alone."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UserError(f"rounds {self.rounds} must be at least 1")

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        found = dict.fromkeys(OF_PICTURES, "with --data_dir") if self.data_dir else {}
        return found if self.measure else {**found, **dict.fromkeys(("rounds", "device"), "without --measure")}


def networks(config: NetworksConfig) -> dict[str, Any] | None:
    """Count, measure, print, write; returns the content of networks.json, None where it was there already.

    Raises:
        UserError: the file has no ablation, its pictures are not known, or cannot be measured.
        RunError: a process that measured memory was ended.
    """
    if not config.name:
        raise UserError("name whose networks: ae-pretrained networks camvid_architectures --num_classes 11")
    path = file_of(config.name)
    variants = _variants(config, path)
    if config.output_dir is None:
        content = _content(config, path, variants)
        print(_text(content))
        return content
    # An ablation may be writing below, and its commands lock folders of their own.
    with sole_writer(config.output_dir, file=JSON):
        return _kept(config, path, variants, config.output_dir)


def _variants(config: NetworksConfig, path: Path) -> list[Variant]:
    section = read_section(path, "ablation")
    if not section:
        raise UserError(f"{path} has no section ablation: ae-pretrained describe says what a single network is made of")
    plan = build_plan(replace(from_mapping(AblationConfig, section, str(path)), only=config.variants or None))
    for name in plan.chosen:
        if plan.variants[name].config.patch is not None:
            raise UserError(f"{path}: variant {name} has --patch, of volumes: networks of pictures alone are compared")
    return [plan.variants[name] for name in plan.chosen]


def _kept(config: NetworksConfig, path: Path, variants: Sequence[Variant], folder: Path) -> dict[str, Any] | None:
    seal = _seal(config, path, folder)
    if said := seal.said():
        print(f"{read_text(folder / MARKDOWN)}\n{folder} {said}")
        return None
    content = _content(config, path, variants)
    text = _text(content)
    with replacing(folder) as staged:
        write_json(staged / JSON, content)
        with atomic_path(staged / MARKDOWN) as temporary:
            temporary.write_text(f"{text}\n", encoding="utf-8")
        seal.write("holds this table already, and nothing changed since: nothing to do", files_in(staged), staged)
    print(f"{text}\n\nwritten to {folder / MARKDOWN}")
    return content


def _seal(config: NetworksConfig, path: Path, folder: Path) -> Seal:
    from core.machine.processor import cpu_name

    read = {"file": path, "manifest": config.data_dir and config.data_dir / "manifest.json"}
    computes = [cpu_name(), Path("/dev/nvidia0").exists()]
    return seal_of(folder, JSON, config, read, apart=("name", *config.writes), computes=computes)


def _content(config: NetworksConfig, path: Path, variants: Sequence[Variant]) -> dict[str, Any]:
    from experiments.architectures.content import content_of

    return content_of(variants, _pictures(config, path), config)


def _pictures(config: NetworksConfig, path: Path) -> "Pictures":
    from experiments.architectures.drawn import Pictures

    if config.data_dir:
        from data.manifest import read_manifest

        manifest = read_manifest(config.data_dir)
        if manifest.dims == 3:
            raise UserError(f"{config.data_dir} holds volumes: networks of pictures alone are compared")
        return Pictures((manifest.size[0], manifest.size[1]), len(manifest.class_set), manifest.channels)
    data = read_section(path, "data")
    size = config.size
    if size is None:
        if not data:
            raise UserError(f"{path} has no section data that says how large pictures are: give --size or --data_dir")
        size = from_mapping(PrepareConfig, data, str(path)).size
    if config.num_classes is None:
        raise UserError("how many classes there are is in the data: give --num_classes, or --data_dir of prepared data")
    return Pictures.of(size, config.num_classes, config.in_channels)


def _text(content: dict[str, Any]) -> str:
    from experiments.architectures.table import table_of

    return markdown(table_of(content))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("experiments.networks", NetworksConfig, networks, argv, section="networks", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
