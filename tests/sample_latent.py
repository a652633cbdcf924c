"""Untrained autoencoders in weights files, for tests that evaluate one without waiting for its training."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sample_header import sample_header

from core.networks.unet import initialise
from core.weights import save_weights
from data.opened import open_data
from reconstruction.network import Autoencoder


def save_untrained(path: Path, model: Autoencoder, architecture: dict[str, Any], **config: float) -> None:
    header = sample_header(architecture=architecture, config={"seed": 3, **config})
    save_weights(path, model.state_dict(), header)


def evaluate_untrained(
    main: Callable, data_dir: Path, folder: Path, *flags: str, code: int = 0, **config: float
) -> dict[str, Any]:
    """Evaluate a small network, by default one whose skips let it see the picture; returns the JSON's content."""
    torch.manual_seed(1)
    architecture = {"width": 2, "image_statistics": True, "in_channels": open_data(data_dir).manifest.channels}
    model = Autoencoder(**architecture)
    initialise(model)
    if config.pop("broken", False):
        model.head.weight.data.fill_(3e38)
    weights = folder / "best_model.safetensors"
    save_untrained(weights, model, architecture, **config)
    common = ["--data_dir", str(data_dir), "--model_path", str(weights), "--device", "cpu"]
    if "--visualize_samples" not in flags:
        common += ["--visualize_samples", "2"]
    assert main([*common, "--output_dir", str(folder / "out"), *flags]) == code
    if code:
        return {}
    content = json.loads((folder / "out" / "reconstruction_metrics.json").read_text(), parse_constant=fail)
    for entry in content["figures"]:
        assert (folder / "out" / entry["file"]).stat().st_size > 1000
        assert entry["title"]
        assert entry["caption"]
    return content


def fail(constant: str) -> None:
    raise AssertionError(f"{constant} in a JSON file")
