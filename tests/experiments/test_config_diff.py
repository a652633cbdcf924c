"""Where the settings of two files, or of two runs, differ."""

import json
from pathlib import Path

import pytest
import yaml

from core.errors import UserError
from experiments.config_diff import CAME_TO, MISSING, ConfigDiffConfig, config_diff, main
from experiments.page.command_lines import defaults

ROOT = Path(__file__).parents[2]


def diff(*places: Path | str) -> dict:
    return config_diff(ConfigDiffConfig(places=tuple(map(Path, places))))


def file(path: Path, **sections: dict) -> Path:
    path.write_text(yaml.safe_dump(sections))
    return path


def run(folder: Path, phase: str = "transfer_learning", **given) -> Path:
    """Write what a run folder says of its settings; `read_*` is of its identity alone."""
    read = {name: value for name, value in given.items() if name.startswith("read_")}
    settings = {**defaults(phase), **{name: value for name, value in given.items() if name not in read}}
    folder.mkdir()
    content = {"settings": settings, "identity": {**settings, "amp": given.get("read_amp", "off"), **read}}
    (folder / "training_config.json").write_text(json.dumps(content))
    return folder


def test_files_are_compared_as_their_commands_read_them(tmp_path, capsys):
    one = file(
        tmp_path / "a.yaml",
        transfer_learning={"lr": 0.005, "width": 8, "encoder_dropout": [0] * 6},
        ablation={"common": {"lr": 1, "width": 8}, "variants": {"x": {"title": "X"}}},
    )
    other = file(
        tmp_path / "b.yaml",
        data={"size": 64},
        transfer_learning={"width": 16, "encoder_dropout": [0.0] * 6, "tracker": ["mlflow"]},
        ablation={"common": {"lr": 1, "epochs": 8}, "variants": {"x": {"title": "Y"}}},
    )
    assert diff(one, other) == {
        "data": {"size": (512, 64)},
        "transfer_learning": {"width": (8, 16), "tracker": ([], ["mlflow"])},  # the rate is the default's
        "ablation": {
            "common.width": (8, MISSING),
            "common.epochs": (MISSING, 8),
            "variants.x.title": ("X", "Y"),
        },
    }
    said = capsys.readouterr()
    assert f"## data\n\n| setting | {one} | {other} |\n|---|---|---|\n| size | 512 | 64 |\n\n## transfer" in said.out
    assert "| tracker | none | mlflow |" in said.out
    assert "| common.width | 8 | – |" in said.out
    assert said.err == f"note: {one} has no section data; its defaults are compared\n"


def test_equal_ones_say_so(tmp_path, capsys):
    one = file(tmp_path / "a.yaml", reconstruction={"lr": 0.001})
    assert main(["diff", str(one), str(file(tmp_path / "b.yaml", reconstruction={"epochs": 200}))]) == 0
    assert capsys.readouterr().out == f"{one} and {tmp_path}/b.yaml say the same\n"


def test_runs_differ_in_settings_and_in_what_they_came_to(tmp_path):
    one = run(tmp_path / "a", lr=0.5, read_amp="off", read_fingerprint="1")
    other = run(tmp_path / "b", lr=0.25, read_amp="bf16", read_fingerprint="2")
    found = diff(one, other / "training_config.json")
    assert found["transfer_learning"] == {"lr": (0.5, 0.25)}
    assert {name: found[CAME_TO][name] for name in ("amp", "read_fingerprint")} == {
        "amp": ("off", "bf16"),
        "read_fingerprint": ("1", "2"),
    }
    assert "lr" not in found[CAME_TO]


def test_a_run_against_a_file_and_one_of_an_older_version(tmp_path):
    folder = run(tmp_path / "a", lr=0.5)
    path = folder / "training_config.json"
    content = json.loads(path.read_text())
    del content["settings"]["tracker"]
    path.write_text(json.dumps(content))
    one = file(tmp_path / "a.yaml", transfer_learning={"lr": 0.5}, data={"size": 64})
    # What is left to the machine was not yet: such a run had what all had then.
    assert diff(folder, one) == {}
    del content["settings"]["kernels"]
    path.write_text(json.dumps(content))
    assert diff(folder, one) == {"transfer_learning": {"kernels": ("torch", "auto")}}


def test_what_cannot_be_compared_is_refused_in_a_line(tmp_path):
    runs = run(tmp_path / "a", "reconstruction"), run(tmp_path / "b")
    with pytest.raises(UserError, match="a is one of reconstruction and .*b is one of transfer_learning: runs of one"):
        diff(*runs)
    with pytest.raises(UserError, match="two are compared, 1 given"):
        diff(runs[0])
    with pytest.raises(UserError, match="it has no training_config.json"):
        diff(tmp_path, runs[0])
    with pytest.raises(UserError, match="neither a YAML file nor a run folder"):
        diff(tmp_path / "nowhere", runs[0])
    wrong = file(tmp_path / "wrong.yaml", transfer_learning={"epohcs": 1})
    with pytest.raises(UserError, match=r"wrong.yaml: transfer_learning: unknown setting 'epohcs'"):
        diff(wrong, runs[1])


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_of_the_project_can_be_compared(path):
    assert diff(path, path.stem) == {}
    assert diff(path, ROOT / "config/model_config.yaml") or path.stem == "model_config"
