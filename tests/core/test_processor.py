"""What tells processors apart: the kind that decides speed, and a name for a folder."""

import pytest
import torch

from core.machine.processor import Processor, kind_of_cpu, processor, words_of

X86 = {"architecture": "x86_64"}


@pytest.mark.parametrize(
    ("able", "kind"),
    [
        ({**X86, "avx2": True, "avx512_f": False}, "cpu"),
        ({**X86, "avx512_f": True, "avx512_bf16": False}, "cpu-avx512"),
        ({**X86, "avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, "cpu-bf16"),
        ({**X86, "avx512_f": True, "avx512_bf16": True, "amx_bf16": True}, "cpu-amx"),
        ({"architecture": "aarch64", "bf16": True}, "cpu-aarch64"),
        ({"cpu_name": "one that says nothing of it"}, "cpu-unknown"),
    ],
)
def test_a_cpu_is_of_the_best_kind_that_it_has(able, kind):
    assert kind_of_cpu(able) == kind


@pytest.mark.parametrize(
    ("name", "kind", "slug"),
    [
        ("AMD EPYC", "cpu", "cpu-amd-epyc"),
        ("AMD EPYC 9R14 96-Core Processor", "cpu-bf16", "cpu-bf16-amd-epyc-9r14"),
        ("Intel(R) Xeon(R) Platinum 8488C CPU @ 2.40GHz", "cpu-amx", "cpu-amx-intel-xeon-platinum-8488c"),
        ("NVIDIA H100 80GB HBM3", "cuda", "cuda-nvidia-h100-80gb-hbm3"),
        ("", "cpu", "cpu"),
    ],
)
def test_a_slug_is_kind_and_name(name, kind, slug):
    assert Processor(name, kind).slug == slug


@pytest.mark.parametrize(
    ("of_system", "of_torch"),
    [
        ("AMD EPYC 7763 64-Core Processor", "AMD EPYC 7763"),
        ("Intel(R) Xeon(R) Platinum 8488C", "Intel Xeon Platinum 8488C"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel Xeon 2.20GHz"),
        ("cpu (Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz, 2 threads)", "cpu (Intel Core i7-4770, 2 threads)"),
    ],
)
def test_a_model_is_the_same_however_it_is_spelt(of_system, of_torch):
    assert words_of(of_system) == words_of(of_torch)


def test_this_machine_has_a_processor():
    here = processor(torch.device("cpu"))
    assert here.name
    assert here.kind == kind_of_cpu(torch.cpu.get_capabilities())
    assert here.kind in ("cpu", "cpu-avx512", "cpu-bf16", "cpu-amx")
