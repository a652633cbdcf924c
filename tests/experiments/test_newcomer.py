"""The newcomer's way: twelve photographs with masks of five own classes, from nothing to a page in three commands."""

import numpy as np
import pytest
from own_pictures import COLOURS, indices, write_masks, write_pictures
from PIL import Image

from ae_pretrained.__main__ import main

NAMES = [f"photo {number}" for number in range(12)]
CLASSES = ("road", "car", "person", "sky", "<b>tree</b>")


def write(root, form: str) -> list[str]:
    """Write pictures and masks; returns what --classes is given."""
    masks = {name: indices(seed, 6) for seed, name in enumerate(NAMES)}
    write_pictures(root / "images", NAMES)
    if form == "a file a class":
        for value, name in enumerate(CLASSES, start=1):
            folder = root / "masks" / name.replace("/", "")
            write_masks(folder, {key: (mask == value) * np.uint8(1) for key, mask in masks.items()})
        return []
    if form == "colours":
        write_masks(root / "masks", masks, lambda mask, path: Image.fromarray(COLOURS[mask]).save(path))
        lines = [f"{name}: {COLOURS[value].tolist()}\n" for value, name in enumerate(CLASSES, start=1)]
        (root / "classes.yaml").write_text("background: [0, 0, 0]\n" + "".join(lines))
        return ["--classes", str(root / "classes.yaml")]
    write_masks(root / "masks", masks)
    return ["--classes", "background", *CLASSES]


@pytest.mark.all
@pytest.mark.parametrize("form", ["values", "colours", "a file a class"])
def test_three_commands_lead_to_a_page(form, tmp_path):
    classes = write(tmp_path, form)
    data, run = str(tmp_path / "data"), str(tmp_path / "run")
    pictures = ["--images", str(tmp_path / "images"), "--masks", str(tmp_path / "masks"), *classes]
    assert main(["prepare", "--dataset", "folder", *pictures, "--size", "48x64", "--output_dir", data]) == 0
    short = [
        "--width",
        "4",
        "--batch_size",
        "4",
        "--max_steps",
        "10",
        "--val_every",
        "5",
        "--device",
        "cpu",
        "--amp",
        "off",
    ]
    assert main(["train", "--data_dir", data, "--output_dir", run, *short]) == 0
    assert main(["report", run, "--data_dir", data, "--output", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "person" in page
    assert "<b>tree" not in page
