"""What a command says reaches any terminal: hostile names, poor encodings, readers who leave, memory that runs out."""

import csv
import dataclasses
import importlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from core import command
from core.cli import COMMANDS
from core.errors import UserError
from core.evaluation import print_table
from core.files import write_csv
from core.machine import fabric
from core.terminal import progress
from core.terminal.screen import readable_output, screen, visible

HOSTILE = "a\x1b]0;taken\x07\x1b[2J\x9b31m\r\x08b\u202egnp.c\x7f"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
ROOT = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a made-up command."""

    batch_size: int = 8
    """Pictures at a time."""


@dataclasses.dataclass(frozen=True)
class Training(Settings):
    """Likewise, with a network of a width."""

    width: int = 8
    """Of the network."""
    goes_on = True


def run(function, settings: type = Settings) -> int:
    return command.run_command("made.up", settings, function, [], section="report", description="A command.")


def says(function, capsys, settings: type = Settings) -> tuple[int, str, str]:
    code = run(function, settings)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_control_characters_never_reach_the_terminal(capsys):
    def work(config):
        print(f"note: {HOSTILE}")
        print_table(HOSTILE, [HOSTILE, "IoU"], [[HOSTILE, 0.5]])
        print(HOSTILE, file=sys.stderr)
        for _ in progress.track([1], HOSTILE, 1):
            pass
        raise FileNotFoundError(2, "no such file", HOSTILE)

    code, out, err = says(work, capsys)
    assert code == 2
    assert not CONTROL.search(out)
    assert not CONTROL.search(err)
    assert out.count("\\x1b]0;taken") >= 4
    assert "error: No such file or directory: a\\x1b]0;taken" in err
    assert "\\u202e" in err


def test_colours_of_ours_pass_and_those_of_names_do_not(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    stream = sys.stdout
    with readable_output():
        screen(width=60, highlight=False).print("[red]\x1b[32mname[/red]")
        print("\x1b[32mname")
        for _ in progress.track([1, 2], "\x1bcname", 2):
            print("\x1bc under a bar")
    said = stream.getvalue()
    assert "\x1b[31m\\x1b[32mname" in said
    assert "\x1b[32mname" not in said
    assert "\x1bc" not in said
    assert said.count("\\x1bc") >= 2


def test_lines_and_tabs_stay_and_so_do_letters_of_all_languages():
    assert visible("a\tb\nñ 猫 😀") == "a\tb\nñ 猫 😀"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_can_show_any_name(monkeypatch, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)

    def work(config):
        print("\udcff 猫 – é … −1 ± ×")
        print_table("猫 – é", ["class", "IoU"], [["ñ\udce9", 0.5]])

    assert run(work) == 0
    said = stream.buffer.getvalue().decode(encoding)
    assert "\\xff" in said
    assert "\\xe9" in said
    assert "0.5000" in said
    if encoding == "ascii":
        assert "\\u732b - e ... -1 +- x" in said


def test_help_and_a_reader_who_leaves():
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "LANG": "C", "LC_ALL": "C"}
    words = [sys.executable, "-m", "ae_pretrained", "tables", "--help"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=ROOT) as process:
        process.stdout.close()  # before anything is said
        assert process.stderr.read() == b""
    assert process.returncode in (0, 141)
    done = subprocess.run(words, capture_output=True, env=environment, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"--results" in done.stdout.replace(b"_", b"-")


def test_a_pipe_that_breaks_during_work_ends_it_quietly(monkeypatch, capsys):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Closed())
    for say in (print, lambda text: print_table(text, ["a"], [["b"]])):
        assert run(lambda config, say=say: say("a line")) == 141
    assert capsys.readouterr().err == ""


def torch_error(config):
    raise RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: you tried to allocate "
        "1099511627776 bytes. Error code 12 (Cannot allocate memory)"
    )


def cuda_error(config):
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 1 GiB")


def numpy_error(config):
    import numpy as np

    np.empty(1 << 60, np.uint8)


def system_error(config):
    raise OSError(12, "Cannot allocate memory")


@pytest.mark.parametrize("broken", [torch_error, cuda_error, numpy_error, system_error])
def test_memory_that_runs_out(broken, capsys):
    code, _, err = says(broken, capsys, Training)
    assert code == 2
    assert err.startswith("error: out of memory")
    assert err.endswith(": lower --batch_size or --width\n")
    assert err.count("\n") == 1
    assert says(broken, capsys)[2].endswith(": lower --batch_size\n")


def test_the_size_that_was_asked_for_is_named(capsys):
    assert "(asked for 20.00 GiB more)" in says(cuda_error, capsys)[2]


def test_what_the_same_command_does_is_said_where_it_does_so(capsys):
    def stopped(config):
        raise KeyboardInterrupt

    def full(config):
        raise OSError(28, "No space left on device", "x")

    assert says(stopped, capsys, Training) == (130, "", "stopped: the same command again goes on\n")
    assert says(stopped, capsys) == (130, "", "stopped: the same command begins anew\n")
    assert says(full, capsys, Training)[2].endswith("free some space, the same command again goes on\n")
    assert says(full, capsys)[2].endswith("free some space, the same command begins anew\n")


def test_who_goes_on():
    from core.evaluation import EvaluationConfig
    from core.train_config import TrainConfig
    from data.prepare_config import PrepareConfig
    from experiments.grid.config import AblationConfig

    goes_on = {kind: "goes on" in command.again(kind()) for kind in (TrainConfig, PrepareConfig, EvaluationConfig)}
    assert goes_on == {TrainConfig: True, PrepareConfig: True, EvaluationConfig: False}
    assert "goes on" in command.again(AblationConfig())
    assert "begins anew" in command.again(AblationConfig(list=True))


def test_a_log_file_has_a_line_now_and_then(monkeypatch, capsys):
    times = iter([0.0, *(20.0 * step for step in range(1, 10))])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(times))
    assert list(progress.track(range(4), "segmenting Test", 6, done=2)) == [0, 1, 2, 3]
    assert capsys.readouterr().out.splitlines() == [
        "segmenting Test: 4 of 6, about 40 s left",
        "segmenting Test: 6 of 6 in 2 min",
    ]


def test_the_clock_says_what_it_is_and_never_that_nothing_is_left():
    clock, first = progress.Clock(), Console(file=io.StringIO(), width=80)
    with progress.Progress(clock, console=first) as bar:
        task = bar.add_task("x", total=100)
        assert clock.render(bar.tasks[task]).plain == "0 s elapsed" or "left" not in clock.render(bar.tasks[task]).plain
    assert progress.time_left(5.0, 1, 100) is None
    assert progress.time_left(0.01, 50, 100) is None
    assert progress.time_left(10.0, 5, 10) == 20.0
    assert [progress.duration(value) for value in (0.001, 12.4, 130, 7300, None)] == [
        "1 s", "12 s", "2 min", "2 h 02 min", "?"
    ]  # fmt: skip


def test_lightning_does_not_speak(capsys, caplog):
    caplog.set_level("WARNING")
    fabric.Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    said = capsys.readouterr()
    assert "bfloat16" not in said.out + said.err + caplog.text
    import logging

    assert not logging.getLogger("lightning_fabric.utilities.rank_zero").isEnabledFor(logging.INFO)


def test_nobody_speaks_to_a_terminal_past_the_guard():
    files = [path for wing in ("core", "data", "reconstruction", "transfer_learning", "experiments")
             for path in (ROOT / wing).rglob("*.py") if "terminal" not in path.parts]  # fmt: skip
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bConsole\(\)|from rich.console import|rich\.progress import .*\btrack\b", text), path
        for call in re.finditer(r"\bProgress\(", text) if "rich.progress import" in text else ():
            assert "console=screen()" in text[call.start() : call.start() + 700], path


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_a_spreadsheet_computes_nothing(tmp_path, text):
    write_csv(tmp_path / "a.csv", ["name", text], [{"name": text, text: -1.5}, {"name": None, text: "a=1"}])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        head, first, second = csv.reader(file)
    assert head == ["name", f"'{text}"]
    assert first == [f"'{text}", "-1.5"]
    assert second == ["", "a=1"]


@pytest.mark.parametrize("columns", ["1", "5", "30", "1000000000"])
def test_help_at_any_width(columns, monkeypatch, capsys):
    def hangs(*_):
        raise AssertionError("it hangs")

    monkeypatch.setenv("COLUMNS", columns)
    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(30)
    try:
        for row in COMMANDS:
            assert importlib.import_module(row.module).main(["--help"]) == 0
            assert max(map(len, capsys.readouterr().out.splitlines())) < 2000
        # tyro's words on a wrong value are laid out too.
        assert importlib.import_module("experiments.tables").main(["--results", "a", "b"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert os.environ["COLUMNS"] == columns


@pytest.mark.parametrize("closed", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_streams_that_are_closed(closed, monkeypatch, capsys):
    def work(config):
        print("a line")
        print_table("a table", ["class", "IoU"], [["b", 0.5]])
        print("a note", file=sys.stderr)
        for _ in progress.track([1], "working", 1):
            pass
        raise UserError("refused")

    for name in closed:
        monkeypatch.setattr(sys, name, None)
    assert run(work) == 2
    assert command.run_command("made.up", Settings, work, ["--help"], section="report", description="A command.") == 0
    said = capsys.readouterr()
    assert [getattr(sys, name) for name in closed] == [None] * len(closed)
    assert ("a line" in said.out) == ("stdout" not in closed)
    assert ("refused" in said.err) == ("stderr" not in closed)
    assert "refused" not in said.out


def test_what_is_closed_is_no_file_that_was_opened_later(tmp_path):
    script = f"""
import os
from core.terminal.screen import exit_code
def work():
    with open({str(tmp_path / "mine")!r}, "w") as file:
        os.write(1, b"a library's note")
        os.write(2, b"another")
        file.write("mine")
    return 0
raise SystemExit(exit_code(work))
"""
    shell = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(script)} >&- 2>&-"
    assert subprocess.run(["sh", "-c", shell], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode == 0
    assert (tmp_path / "mine").read_text() == "mine"
    for words in ("--version", "tables --help"):
        shell = f"exec {shlex.quote(sys.executable)} -m ae_pretrained {words} >&-"
        done = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")
