"""The processor that computes, and the kind that it is: what decides which way of computing is fastest."""

import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.files import read_text

if TYPE_CHECKING:
    import torch

# What makers write around a model's name, that tells no two models apart.
NOISE = re.compile(r"\((r|tm)\)|@[^,]*|\b(cpu|processor|\d+-core|[\d.]+[gm]hz)\b")


@dataclass(frozen=True)
class Processor:
    """A processor.

    Attributes:
        name: as its maker calls it.
        kind: `cpu` (x86-64), `cpu-avx512`, `cpu-bf16` (avx512_bf16 without AMX), `cpu-amx`, another CPU by its
            architecture as `cpu-aarch64`, `cuda` or `mps`.
    """

    name: str
    kind: str

    @property
    def slug(self) -> str:
        """Kind and name as the name of a folder, such as `cpu-amx-intel-xeon-platinum-8488c`."""
        return "-".join([self.kind, *words_of(self.name)])


def words_of(name: str) -> list[str]:
    """Return what a name, or words with one in them, tells of the model: torch and the system spell it differently."""
    return re.findall("[a-z0-9]+", NOISE.sub(" ", name.lower()))


def processor(device: "torch.device") -> Processor:
    """Return the processor behind a torch device of this machine."""
    import torch

    if device.type == "cuda":
        return Processor(torch.cuda.get_device_name(device), "cuda")
    able = torch.cpu.get_capabilities()
    name = str(able.get("cpu_name") or platform.processor() or platform.machine())
    return Processor(name, kind_of_cpu(able) if device.type == "cpu" else device.type)


def cpu_name() -> str:
    """Return the name of this machine's CPU as the system has it, without torch, which takes seconds to load.

    `processor` may leave parts of it out; `words_of` both are the same.
    """
    with suppress(OSError):
        if found := re.search(r"^model name\s*:\s*(.+)$", read_text(Path("/proc/cpuinfo"), errors="replace"), re.M):
            return found[1].strip()
    return platform.processor() or platform.machine()


def kind_of_cpu(able: Mapping[str, Any]) -> str:
    """Return the kind of a CPU by its capabilities, named as `torch.cpu.get_capabilities` does."""
    if able.get("architecture") != "x86_64":
        return f"cpu-{able.get('architecture', 'unknown')}"
    kinds = {"cpu-amx": "amx_bf16", "cpu-bf16": "avx512_bf16", "cpu-avx512": "avx512_f"}
    return next((kind for kind, capability in kinds.items() if able.get(capability)), "cpu")
