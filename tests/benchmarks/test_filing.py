"""Where results go, what stands beside them, and the page made of them."""

import json
import re
import shlex

import torch

from benchmarks.config import BackendsConfig, GrowthConfig, PartsConfig, ThroughputConfig
from benchmarks.filing import command_line, file_name, write_results
from benchmarks.results_page import PAGE, RESULTS, page
from core.config import parse
from core.machine.processor import processor

CPU = torch.device("cpu")


def test_the_command_gives_the_settings_again(tmp_path):
    config = ThroughputConfig(output_dir=tmp_path, work_dir=tmp_path, size=256, threads=(2, 1), peers=False, amp="off")
    said = command_line("benchmarks.throughput", config)
    assert said == "python -m benchmarks.throughput --size 256 --threads 2 1 --no_peers --amp off"
    again = parse(ThroughputConfig, shlex.split(said)[3:], "benchmarks.throughput", "throughput", "")
    assert (again.size, again.threads, again.peers, again.amp) == (256, (2, 1), False, "off")
    assert command_line("benchmarks.growth", GrowthConfig()) == "python -m benchmarks.growth"


def test_results_of_another_size_have_files_of_their_own():
    assert file_name("summary.json", ThroughputConfig()) == "summary.json"
    assert file_name("summary.json", ThroughputConfig(size=256)) == "summary_256.json"
    assert file_name("summary.json", ThroughputConfig(size=256, threads=(1,))) == "summary_256_1_thread.json"
    assert file_name("summary.json", ThroughputConfig(threads=(2,))) == "summary_2_threads.json"
    assert file_name("summary.json", ThroughputConfig(threads=(2, 1))) == "summary.json"


def test_results_lie_in_the_folder_of_the_processor(tmp_path):
    config = ThroughputConfig(output_dir=tmp_path, repeats=3)
    files, packages = {"a.json": {"x": 1}}, ("torchmetrics",)
    folder = write_results(config, "benchmarks.throughput", CPU, files, packages, precision="off")
    assert folder == tmp_path / processor(CPU).slug
    content = json.loads((folder / "a.json").read_text())
    assert content["x"] == 1
    assert content["command"] == "python -m benchmarks.throughput --repeats 3"
    assert content["settings"]["repeats"] == 3
    assert not {"output_dir", "work_dir"} & set(content["settings"])
    assert content["hardware"]["precision"] == "off"
    assert content["hardware"]["kind"] == processor(CPU).kind
    assert {"torch", "torchmetrics"} <= set(content["hardware"]["versions"])


def summarised(median):
    return {"median": median, "min": median / 2, "max": median * 2, "repeats": 3}


def ratio(wall, spent):
    return {"wall": summarised(wall), "processor": summarised(spent)}


def test_the_page_sets_processors_side_by_side(tmp_path, monkeypatch):
    ratios = {"2": {"over_practitioner_loop": ratio(3, 4), "in_bf16": ratio(1.5, 1.25)}, "1": {"in_bf16": ratio(2, 5)}}
    summary = {"ratios": ratios, "notes": ["no peers"]}
    write_results(ThroughputConfig(output_dir=tmp_path), "benchmarks.throughput", CPU, {"summary.json": summary})
    other = {"ratios": {"1": {"over_practitioner_loop": ratio(6, 7)}}}
    monkeypatch.setattr("core.machine.processor.kind_of_cpu", lambda able: "cpu-amx")
    config = ThroughputConfig(output_dir=tmp_path, size=256)
    write_results(config, "benchmarks.throughput", CPU, {"summary.json": other})
    speed = {"images_per_second": summarised(80), "processor_milliseconds": summarised(20)}
    row = {"backend": "openvino, fp32", "threads": 1, "forward": speed, "prediction": speed, "mean_iou": 0.5}
    row |= {"forward_over_torch": ratio(2, 2.5), "prediction_over_torch": ratio(1, 1), "agreement": 0.9995}
    backends = {"rows": [row]}
    write_results(BackendsConfig(output_dir=tmp_path), "benchmarks.backends", CPU, {"backends.json": backends})
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "summary.json").write_text('{"over_practitioner_loop": {"median": 1}}')
    text = page(tmp_path)
    head = next(line for line in text.splitlines() if line.startswith("| ratio"))
    assert [part in head for part in ("128 px, 2 threads", "128 px, 1 thread", "cpu-amx", "256 px, 1 thread")] == [
        True
    ] * 4
    line = next(line for line in text.splitlines() if line.startswith("| over practitioner loop"))
    cells = line.removesuffix(" |").split(" | ")
    # The order of the folders is that of their names, so the columns are looked at as a set.
    assert {"3.00 (1.50 to 6.00) / 4.00", "6.00 (3.00 to 12.00) / 7.00", "–"} == set(cells[1:])
    assert "| openvino, fp32 | 1 | 80.0 | 2.00 (1.00 to 4.00) / 2.50 |" in text
    assert "99.95% | 0.500 |" in text
    assert "`python -m benchmarks.throughput --size 256`" in text
    assert "/summary.json`, 128 px, 2 threads, 1 thread: `python" in text
    assert "/backends.json`, 128 px, 1 thread: `python" in text
    assert "no peers" in text
    assert "old" not in text


def test_the_page_shows_parts_beside_ours(tmp_path):
    row = {"part": "SSIM", "way": "pytorch-msssim", "layout": "channels_last", "precision": "off"}
    rows = [{**row, "milliseconds": summarised(40), "over_ours": summarised(1.5)}]
    write_results(PartsConfig(output_dir=tmp_path), "benchmarks.parts", CPU, {"parts.json": {"rows": rows}})
    text = page(tmp_path)
    assert "| SSIM | pytorch-msssim, channels last, fp32 | 40.00 (20.00) | 1.50 (0.75 to 3.00) |" in text
    assert f"/parts.json`, 128 px, {torch.get_num_threads()} thread" in text
    assert re.search(r"`python -m benchmarks.parts` on cpu \([^,]*\), commit", text)


def test_the_committed_page_is_that_of_the_committed_results():
    assert (RESULTS / PAGE).read_text(encoding="utf-8") == page(), "python -m benchmarks.results_page"
