"""Settings from files and flags, and what a command says about wrong ones."""

import dataclasses
import importlib
import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from ae_pretrained.__main__ import main as together
from core.cli import COMMANDS
from core.command import Terminated, run_command
from core.config import DEFAULT_CONFIG, from_files, from_mapping, parse, read_section
from core.errors import RunError, UserError
from core.filing.data_config import DataConfig
from core.filing.words import take_config
from core.filing.yaml_file import read_yaml
from data.prepare_config import PrepareConfig
from experiments.grid.config import AblationConfig
from experiments.grid.planning.plan import build_plan
from experiments.page.command_lines import flag
from experiments.recipe import RecipeConfig
from experiments.recipe_steps import settings_of
from experiments.report import ReportConfig
from experiments.report import main as report
from reconstruction.config import ReconstructionConfig
from reconstruction.train import main as train
from transfer_learning.config import SegmentationConfig
from transfer_learning.evaluate import SegmentationEvaluationConfig
from transfer_learning.predict import main as predict
from transfer_learning.predict_config import PredictConfig

ROOT = Path(__file__).parents[2]


def parsed(*flags: str, config_type=ReconstructionConfig):
    section = "reconstruction" if config_type is ReconstructionConfig else "transfer_learning"
    return parse(config_type, flags, "the.command", section, "about")


@pytest.mark.parametrize(
    ("section", "config_type"), [("reconstruction", ReconstructionConfig), ("transfer_learning", SegmentationConfig)]
)
def test_the_default_file_holds_every_default(section, config_type):
    values = read_section(DEFAULT_CONFIG, section)
    assert set(values) == {field.name for field in dataclasses.fields(config_type)}
    assert from_mapping(config_type, values, "file") == config_type()


# Grids that stand behind others on the command line.
LAID_OVER = {
    "race_isic": ["race_small"],
    "race_msrc": ["race_small"],
    "race_gpu": ["race"],
    "race_gpu_32": ["race", "race_gpu"],
    "reproduce_small": ["reproduce"],
}


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_file_is_valid(path):
    recipe = from_mapping(RecipeConfig, read_section(path, "recipe"), str(path))
    content = settings_of(path, recipe)  # which puts in what a recipe's flags name
    for section, config_type in (
        ("data", PrepareConfig),
        ("reconstruction", ReconstructionConfig),
        ("transfer_learning", SegmentationConfig),
    ):
        from_mapping(config_type, content.get(section) or {}, str(path))
    if grid := content.get("ablation"):
        below = [ROOT / f"config/{name}.yaml" for name in LAID_OVER.get(path.stem, ())]
        both = from_files(AblationConfig, (*below, path), "ablation") if below else None
        build_plan(both or from_mapping(AblationConfig, grid, str(path)))


def test_the_race_on_a_gpu_counts_masks():
    """The official download has masks of all its pictures, of which a share of 1 would leave none."""
    files = [ROOT / f"config/{name}.yaml" for name in ("race", "race_gpu")]
    assert from_files(AblationConfig, files, "ablation").fractions == (52, 522)


def test_flags_win_over_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("reconstruction: {epochs: 3, lr: 1e-4, amp: off}\n")
    config = parsed("--config", str(file), "--epochs", "5")
    assert (config.epochs, config.lr, config.amp, config.batch_size) == (5, 1e-4, "off", 32)


def test_a_flag_takes_back_what_may_be_none(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text("reconstruction:\n  max_steps: 40\n  width: 8\n")
    given = parsed("--config", str(path), "--no_max_steps")
    assert (given.max_steps, given.width) == (None, 8)
    assert train(["--no_width"]) == 2
    assert "width" in capsys.readouterr().err


def test_bare_flags_mean_what_they_meant():
    config = parsed("--weighted_ce", "--amp", config_type=SegmentationConfig)
    assert (config.weighted_ce, config.amp) == ("static", "auto")
    config = parsed("--weighted_ce", "off", "--freeze", "7", config_type=SegmentationConfig)
    assert (config.weighted_ce, config.freeze) == ("off", 7)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--epoch", "3"], "unknown flag --epoch; did you mean epochs?"),
        (["--epochs", "many"], "--epochs"),
        (["--epochs", "0"], "epochs 0 must be at least 1"),
        (["--skips", "some"], "'some'"),
        (["--mse_weight", "0", "--perceptual_weight", "0", "--ssim_weight", "0"], "all 0"),
        (["--flip", "1.5"], "flip: 1.5 is out of range"),
        (["--lr", "nan"], "lr nan must be a finite number"),
        (["--lr", "-1"], "error: lr -1.0 must be above 0"),
        (["--clip", "inf"], "clip inf must be a finite number"),
        (["--cutout", "0.5"], "image_statistics"),
        (["--config", "nowhere.yaml"], "nowhere.yaml does not exist"),
        (["--data_dir", "nowhere"], "run python -m data.prepare"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(flags, message, capsys):
    assert train(flags) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reconstruction: {epohcs: 3}", "unknown setting 'epohcs'; did you mean epochs?"),
        ("reconstrution: {epochs: 3}", "unknown section 'reconstrution'; did you mean reconstruction?"),
        ("reconstruction: {epochs: many}", "epochs: .*'many'"),
        ("reconstruction: {epochs: [", "not valid YAML"),
        ("- 1", "must hold sections"),
        ("reconstruction: [1]", "section reconstruction must hold settings"),
        ("reconstruction: hello", "section reconstruction must hold settings"),
        ("reconstruction: {lr: yes}", "lr: got 'yes', wanted: number"),
        ("reconstruction: {lr: true}", "lr: got True, wanted: number"),
        ("reconstruction: {epochs: true}", "epochs: got True, wanted: whole number"),
        ("reconstruction: {epochs: 1e2}", "epochs: got 100.0, wanted: whole number"),
        ("reconstruction: {train_crop: true}", "train_crop: got True, wanted: whole number, text"),
        ("reconstruction: {encoder_dropout: [0, 0, 0, 0, 0, false]}", "False], wanted: 6 numbers"),
        ("reconstruction: {encoder_dropout: [0, 0, 0]}", "got [0, 0, 0], wanted: 6 numbers"),
        ("reconstruction: {data_dir: true}", "data_dir: got True, wanted: path"),
        ("reconstruction: {amp: false}", "amp: got False, wanted: `off`, `bf16`, `fp16`, `auto`"),
        ("reconstruction: {lr: 1, lr: 2}", "lr stands twice, in line 1 and line 1"),
        ("reconstruction: {data_dir: $NOWHERE/x}", "there is no variable NOWHERE"),
        ("reconstruction: {data_dir: ~nobody_here/x}", "no such user"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=re.escape(message) if "wanted" in message else message):
        parsed("--config", str(file))


def test_freeze_true_is_neither_always_nor_one_epoch():
    with pytest.raises(UserError, match="freeze: got True, wanted: whole number, `always`, `never`"):
        from_mapping(SegmentationConfig, {"freeze": True}, "file")


def test_words_that_were_booleans_are_words(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("transfer_learning: {weighted_ce: off, amp: off, class_balance: on, lr: 1e-3}\n")
    config = parsed("--config", str(file), config_type=SegmentationConfig)
    assert (config.weighted_ce, config.amp, config.class_balance, config.lr) == ("off", "off", True, 0.001)


def test_paths_are_filled_in_alike_in_files_and_flags(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATA_HERE", "data")
    (tmp_path / "run.yaml").write_text("reconstruction: {data_dir: ~/$DATA_HERE/a, init_weights: '${DATA_HERE}/w'}\n")
    of_file = parsed("--config=~/run.yaml")
    of_flags = parsed("--data_dir=~/$DATA_HERE/a", "--init_weights", "${DATA_HERE}/w")
    assert (of_file.data_dir, of_file.init_weights) == (tmp_path / "data/a", Path("data/w"))
    assert (of_flags.data_dir, of_flags.init_weights) == (of_file.data_dir, of_file.init_weights)
    with pytest.raises(UserError, match="there is no variable NOWHERE"):
        parsed("--output_dir", "$NOWHERE/x")
    monkeypatch.chdir(tmp_path)
    Path("$NOWHERE").mkdir()
    assert parsed("--data_dir", "$NOWHERE").data_dir == Path("$NOWHERE")


def test_the_later_of_two_files_wins_name_by_name(tmp_path, capsys):
    first, second, third = (tmp_path / name for name in ("a.yaml", "b.yml", "c.yaml"))
    first.write_text("transfer_learning: {lr: 0.5, width: 8, encoder_dropout: [0, 0, 0, 0, 0, 0]}")
    second.write_text("transfer_learning: {lr: 0.25, encoder_dropout: [0.5, 0, 0, 0, 0, 0]}")
    third.write_text("data: {size: 64}")
    config = parsed("--config", str(first), str(second), "--batch_size", "3", config_type=SegmentationConfig)
    assert (config.lr, config.width, config.encoder_dropout, config.batch_size) == (0.25, 8, (0.5, *[0] * 5), 3)
    assert not capsys.readouterr().err
    assert parsed(f"--config={first}", str(third), config_type=SegmentationConfig).lr == 0.5
    assert "c.yaml has no section 'transfer_learning'; the others hold" in capsys.readouterr().err


def test_mappings_of_two_files_are_joined(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(
        "ablation: {seeds: [1, 2], common: {width: 8, max_steps: 4}, variants: {a: {title: A, freeze: 1}, b: {}}}"
    )
    second.write_text("ablation: {seeds: [3], common: {max_steps: 2}, variants: {a: {freeze: 2}, c: {}}}")
    config = from_files(AblationConfig, (first, second), "ablation")
    assert config.seeds == (3,)
    assert config.common == {"width": 8, "max_steps": 2}
    assert config.variants == {"a": {"title": "A", "freeze": 2}, "b": {}, "c": {}}


def test_an_unknown_setting_is_told_with_its_own_file(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("reconstruction: {lr: 0.5}")
    second.write_text("reconstruction: {epoch: 2}")
    with pytest.raises(UserError, match=r"b\.yaml: unknown setting 'epoch'; did you mean epochs"):
        parsed("--config", str(first), str(second))


def test_what_follows_the_files_is_the_commands_own():
    rest, files = take_config(["runs/a", "--config", "grid", "b.YAML", "runs/b", "c.yaml"])
    assert (rest, files) == (["runs/a", "runs/b", "c.yaml"], (Path("grid"), Path("b.YAML")))


def test_config_given_twice_says_how_to_give_both():
    with pytest.raises(UserError, match=r"--config is given 2 times: give all at once, --config a.yaml b.yaml"):
        parsed("--config", "a.yaml", "--config=b.yaml")
    with pytest.raises(UserError, match="--config needs a file"):
        parsed("--config", "--epochs", "3")


@dataclasses.dataclass(frozen=True)
class Nothing:
    """No settings."""


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (UserError("x"), 2),
        (PermissionError(13, "", "there"), 2),
        (OSError(28, ""), 1),
        (RunError("x"), 1),
        (ZeroDivisionError("x"), 1),
        (KeyboardInterrupt(), 130),
        (Terminated(), 143),
    ],
)
def test_exit_codes(failure, code, capsys):
    def fail(config):
        raise failure

    assert run_command("the.command", Nothing, fail, [], section="data", description="") == code
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "Traceback" not in errors
    assert errors.partition(": ")[2].strip()


@pytest.mark.parametrize("module", [command.module for command in COMMANDS])
def test_help_teaches(module, capsys):
    assert importlib.import_module(module).main(["--help"]) == 0
    text = capsys.readouterr().out
    assert f"usage: python -m {module} " in text
    assert "default" in text


SHOWN = {
    "transfer_learning.train": "--lr 1e-3 --width 8 --freeze 3 --tracker mlflow tensorboard --max_steps 5 --amp",
    "reconstruction.train": "--encoder_dropout 0,0,0,0,0,0.5 --data_dir 1e-3 --output_dir ~ --no_image_statistics",
    "data.prepare": "--dataset folder --images a/* --classes off yes 1e-3 0o17 012 12:30 a#b --preprocess green",
    "transfer_learning.predict": "--model_path a: --input null x: -",
    "experiments.ablate": f"--config {ROOT}/config/race_small.yaml --variants scratch",
}


@pytest.mark.parametrize(
    ("command", "words"),
    [(command, words) for command in COMMANDS for words in dict.fromkeys(["", SHOWN.get(command.module, "")])],
    ids=lambda value: value[:20] if isinstance(value, str) else value.module,
)
def test_printed_settings_read_back_as_the_same(command, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module, words = importlib.import_module(command.module), words.split()
    called = []
    for line in ([*words, "--print_config"], ["--print-config", *words]):
        assert module.main(line) == 0
        called.append(capsys.readouterr())
    assert called[0] == called[1]
    assert not called[0].err
    assert not list(tmp_path.iterdir())
    (tmp_path / "printed.yaml").write_text(called[0].out)
    settings = getattr(module, command.settings)
    again = parse(settings, ["--config", "printed.yaml"], command.module, command.section, "about")
    wanted = parse(settings, words, command.module, command.section, "about")
    assert repr(again) == repr(wanted)
    names = {field.name for field in dataclasses.fields(settings) if getattr(wanted, field.name) != ""}
    assert set(read_yaml(tmp_path / "printed.yaml")[command.section]) == names
    assert max(map(len, called[0].out.splitlines())) <= 120 or command.module == "experiments.ablate"


def test_what_is_no_default_comes_first_under_what_it_means(capsys):
    assert train(["--lr", "0.5", "--skips", "none", "--print_config"]) == 0
    text = capsys.readouterr().out
    assert "\n  # Learning rate at its height. (default: `0.001`)\n  lr: 0.5\n" in text
    assert (
        text.index("lr: 0.5") < text.index("skips: none") < text.index("As by default") < text.index("batch_size: 32")
    )
    assert train(["--epochs", "0", "--print_config"]) == 2
    assert "epochs 0 must be at least 1" in capsys.readouterr().err


def takes_names(hint) -> bool:
    return any(kind in (str, Path) for kind in (hint, *get_args(hint)))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.module)
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_value_never_means_the_folder_where_one_is(command, value, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(command.module)
    settings = getattr(module, command.settings)
    hints = get_type_hints(settings)
    names = [name for name, hint in hints.items() if takes_names(hint) and name != "runs"]
    assert names
    for name in names:
        for words in ([f"--{name}", value], [f"--{name}={value}"], ["--debug", f"--{name}", value, "--help"]):
            assert module.main(words) == 2
            assert capsys.readouterr().err.splitlines()[-1] == (
                f"error: --{name} is empty: say what is meant, or leave it out"
            )
    assert not list(tmp_path.iterdir())


def test_an_empty_value_is_found_wherever_it_comes_from(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EMPTY", "")
    assert report([""]) == 2
    assert "error: an argument is empty" in capsys.readouterr().err
    assert together(["evaluate", "--model_path", ""]) == 2
    assert "error: --model_path is empty" in capsys.readouterr().err
    assert train(["--data_dir", "$EMPTY/pictures"]) == 2
    assert "nothing is in the variable EMPTY" in capsys.readouterr().err
    assert train(["--config", ""]) == 2
    assert "error: --config is empty" in capsys.readouterr().err
    for value, message in {
        '""': "output_dir is empty",
        "'  '": "output_dir is empty",
        '"a\\0b"': "holds a character that no name can have",
        '"\\ud800"': "",
    }.items():
        (tmp_path / "mine.yaml").write_text(f"reconstruction:\n  output_dir: {value}\n")
        assert train(["--config", str(tmp_path / "mine.yaml"), "--data_dir", "nowhere"]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert "unexpected" not in error
    (tmp_path / "mine.yaml").write_text('transfer_learning_prediction:\n  input: [a, ""]\n')
    assert predict(["--config", str(tmp_path / "mine.yaml")]) == 2
    assert "mine.yaml: input is empty" in capsys.readouterr().err


IDLE = [
    (SegmentationConfig, {"max_steps": 5, "patience": 3}, "--patience with --max_steps"),
    (SegmentationConfig, {"max_steps": 5, "epochs": 3}, "--epochs with --max_steps"),
    (SegmentationConfig, {"val_every": 5}, "--val_every without --max_steps"),
    (SegmentationConfig, {"epochs": 20, "patience": 20}, "--patience which is no shorter than the run"),
    (SegmentationConfig, {"epochs": 20, "patience": 19}, ""),
    (SegmentationConfig, {"epochs": 5}, ""),  # the default was not asked for
    (SegmentationConfig, {"optimizer": "adamw", "momentum": 0.5}, "--momentum with --optimizer adamw"),
    (SegmentationConfig, {"optimizer": "adamw", "momentum": 0.0}, ""),  # none there is
    (SegmentationConfig, {"cutout_size": 0.5}, "--cutout_size without --cutout"),
    (ReconstructionConfig, {"mask_ratio": 0.3, "mask_patch": 8}, "--mask_ratio without --pretext mask; --mask_patch"),
    (ReconstructionConfig, {"target": "normalised", "mask_patch": 8}, ""),
    (ReconstructionConfig, {"pretext": "mask", "mask_ratio": 0.3}, ""),
    (ReconstructionConfig, {"target": "hog", "ssim_weight": 0.3}, "--ssim_weight with --target hog"),
    (PredictConfig, {"tta_scales": (1.0,), "tile_overlap": 0.2}, "--tta_scales without --tta; --tile_overlap without"),
    (PredictConfig, {"tta": True, "tta_scales": (1.0,), "tile": True, "tile_overlap": 0.2}, ""),
    (SegmentationEvaluationConfig, {"figures": False, "visualize_samples": 9}, "--visualize_samples with --no_figures"),
    (ReportConfig, {"allow_seen": True}, "--allow_seen without --data_dir"),
]


@pytest.mark.parametrize(("kind", "given", "message"), IDLE, ids=[str(given) for _, given, _ in IDLE])
def test_what_has_no_say_is_told(kind, given, message, capsys):
    words = [
        word for name, value in given.items() for word in flag(name, [*value] if isinstance(value, tuple) else value)
    ]
    assert run_command("x.y", kind, lambda config: None, words, section="report", description="about") == 0
    said = capsys.readouterr().err
    assert message in said
    assert bool(said) == bool(message)


def test_defaults_have_their_say():
    for command in COMMANDS:
        settings = getattr(importlib.import_module(command.module), command.settings)
        idle = settings().idle() if hasattr(settings, "idle") else {}
        assert idle.keys() <= {field.name for field in dataclasses.fields(settings)}


def test_what_is_given_for_the_data_goes_on_to_other_commands(tmp_path):
    assert DataConfig().data_settings() == {"data_dir": Path("data/processed")}
    given = DataConfig(cache_dir=tmp_path, allow_seen=True)
    assert given.data_settings() == {"data_dir": Path("data/processed"), "cache_dir": tmp_path, "allow_seen": True}
    for kind in (ReconstructionConfig, SegmentationConfig, SegmentationEvaluationConfig, ReportConfig, AblationConfig):
        assert issubclass(kind, DataConfig)
