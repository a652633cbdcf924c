"""The commands by their names, as text: which module runs, what its settings and its section of a YAML file are called.

A command is imported when it is called, so that help and errors come at once.
"""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One module that can be called.

    Attributes:
        module: holds `main(argv) -> exit code`.
        settings: the name, in that module, of the dataclass that holds its settings.
        section: of a YAML file, whose keys are those settings.
        help: what it does, in one line.
        name: behind `ae-pretrained`; None for what is called as `python -m MODULE` alone.
    """

    module: str
    settings: str
    section: str
    help: str
    name: str | None = None


COMMANDS = (
    Command("data.prepare", "PrepareConfig", "data", "pictures, labels and splits, ready for training", "prepare"),
    Command("data.inspect", "InspectConfig", "inspect", "say what was understood of your own pictures", "inspect"),
    Command("reconstruction.train", "ReconstructionConfig", "reconstruction", "phase 1: an autoencoder", "pretrain"),
    Command("transfer_learning.train", "SegmentationConfig", "transfer_learning", "phase 2: segmentation", "train"),
    Command(
        "reconstruction.evaluate",
        "ReconstructionEvaluationConfig",
        "reconstruction_evaluation",
        "score the weights of either phase",
        "evaluate",
    ),
    Command(
        "transfer_learning.evaluate",
        "SegmentationEvaluationConfig",
        "transfer_learning_evaluation",
        "score the weights of either phase",
        "evaluate",
    ),
    Command(
        "transfer_learning.predict",
        "PredictConfig",
        "transfer_learning_prediction",
        "segment pictures of any size",
        "predict",
    ),
    Command("transfer_learning.app", "AppConfig", "app", "try weights on pictures, in a browser", "app"),
    Command("transfer_learning.export", "ExportConfig", "export", "write a network for other programs", "export"),
    Command("transfer_learning.push", "PushConfig", "push", "put weights on the Hugging Face Hub, with a card", "push"),
    Command("transfer_learning.describe", "DescribeConfig", "describe", "count what a network is made of", "describe"),
    Command("transfer_learning.convert", "ConvertConfig", "convert", "weights of TFLite for networks here", "convert"),
    Command("experiments.ablate", "AblationConfig", "ablation", "compare variants, labels and seeds", "ablate"),
    Command("experiments.networks", "NetworksConfig", "networks", "compare the networks of an ablation", "networks"),
    Command("experiments.recipe", "RecipeConfig", "recipe", "follow one file from pictures to scores", "recipe"),
    Command("experiments.crossval", "CrossvalConfig", "crossval", "train and score fold by fold", "crossval"),
    Command(
        "experiments.advise", "AdviseConfig", "advise", "what to do with your pictures: try, say, forecast", "advise"
    ),
    Command("experiments.suggest", "SuggestConfig", "suggest", "which pictures to label next", "suggest"),
    Command(
        "experiments.config_diff", "ConfigDiffConfig", "config_diff", "where files or runs differ: diff A B", "config"
    ),
    Command("experiments.tables", "TablesConfig", "tables", "write tables again from the JSON of results", "tables"),
    Command("experiments.report", "ReportConfig", "report", "show runs and results on one HTML page", "report"),
    Command("benchmarks.throughput", "ThroughputConfig", "throughput", "time training and evaluation"),
    Command("benchmarks.growth", "GrowthConfig", "growth", "time and memory over pictures and classes"),
    Command("benchmarks.backends", "BackendsConfig", "backends", "what computes a network fastest, and how alike"),
    Command("benchmarks.kernels", "KernelsConfig", "kernels", "which layout and kernels are fastest here"),
    Command("benchmarks.parts", "PartsConfig", "parts", "losses, targets and augmentation against others'"),
    Command("benchmarks.curves", "CurvesConfig", "curves", "whether all ways to compute learn the same"),
    Command("benchmarks.cluster", "ClusterConfig", "cluster", "a grid over the number of Ray workers"),
    Command("benchmarks.advise_replay", "AdviseReplayConfig", "advise_replay", "whether what `advise` says is right"),
    Command(
        "benchmarks.small_archives", "SmallArchivesConfig", "small_archives", "Pets' archives, small enough to send"
    ),
    Command("benchmarks.step_profile", "StepProfileConfig", "step_profile", "where the time of a step goes"),
)
SECTIONS = tuple(command.section for command in COMMANDS)

# How the running command was called, where that was not `python -m MODULE`: "ae-pretrained train".
called_as: ContextVar[str | None] = ContextVar("called_as", default=None)


def subcommands() -> dict[str, list[Command]]:
    """Return what stands behind each name of `ae-pretrained`; `evaluate` is one command a phase."""
    named: dict[str, list[Command]] = {}
    for command in COMMANDS:
        if command.name:
            named.setdefault(command.name, []).append(command)
    return named
