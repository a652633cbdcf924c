"""Both phases on drawn pets learn what they learned before classes came from the data: the losses of commit 9647ce8.

The numbers are those of fp32 on one thread of an AMD EPYC, by `reconstruction.train` and `transfer_learning.train` with
the settings below. Other processors round otherwise, which Adam makes more of with every step: after 5, 10, 15 and 20
one of Zen 4 is up to 0.15, 0.5, 1.2 and 1.5 % away. Hence tolerances that begin far below what any change of arithmetic
makes, and grow. Where the arithmetic is changed on purpose, its new numbers are committed with the change.
"""

import csv

import pytest

from reconstruction.train import main as pretrain
from transfer_learning.train import main as train

COMMON = (
    "--width 4 --batch_size 4 --max_steps 20 --val_every 5 --amp off --device cpu --seed 3 "
    "--memory_format contiguous --kernels torch"
)
# Rows of the log, every five steps, and how far off they may be.
TOLERANCES = (2e-3, 1e-2, 2e-2, 3e-2)
RECONSTRUCTION = {
    "train_loss": [0.1519907, 0.1403196, 0.1388189, 0.1371082],
    "val_loss": [0.1410017, 0.1334300, 0.1300347, 0.1293269],
    "val_psnr": [13.159041, 13.553364, 13.717407, 13.755940],
}
SEGMENTATION = {
    "train_loss": [2.1355267, 2.1287773, 2.1158212, 2.0910671],
    "val_loss": [2.3328364, 2.2667994, 2.1999118, 2.1686196],
}


def check(log, expected):
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name, values in expected.items():
        for row, value, tolerance in zip(rows, values, TOLERANCES, strict=True):
            assert float(row[name]) == pytest.approx(value, rel=tolerance), (name, row)


def test_both_phases_learn_as_before(pets, tmp_path):
    places = ["--data_dir", str(pets), "--output_dir"]
    assert pretrain([*COMMON.split(), "--perceptual_weight", "0", *places, str(tmp_path / "ae")]) == 0
    check(tmp_path / "ae" / "training_log.csv", RECONSTRUCTION)
    encoder = ["--pretrained_encoder", str(tmp_path / "ae" / "best_model.safetensors")]
    drawn = ["--label_fraction", "0.5", "--class_balance"]
    assert train([*COMMON.split(), *encoder, *drawn, *places, str(tmp_path / "seg")]) == 0
    check(tmp_path / "seg" / "training_log.csv", SEGMENTATION)
