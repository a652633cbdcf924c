"""Parts of the real data sets, where they lie beside the checkout: counts, classes, and spots that one can look up."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_sources import samples

from data.manifest import SPLITS
from data.prepare_config import PrepareConfig
from data.sources.source import Source
from data.sources.table import open_source

REAL = next((root / "shared" / "data" for root in Path(__file__).parents if (root / "shared" / "data").is_dir()), None)
pytestmark = pytest.mark.skipif(REAL is None, reason="the real samples are not here")

# Folder, data set, variant, pictures of Train, Val and Test.
KNOWN = [
    ("voc2012", "voc2012", None, (136, 34, 75)),
    ("camvid", "camvid", "11", (367, 101, 117)),
    ("msrc-v2", "msrc_v2", "23", (276, 59, 128)),
    ("msrc-v2", "msrc_v2", "21", (276, 59, 128)),
    ("cityscapes-sample", "cityscapes", None, (4, 1, 0)),
    ("ade20k-sample", "ade20k", None, (1, 0, 0)),
    ("drive", "drive", None, (16, 4, 10)),
    ("isbi-em", "isbi_em", None, (16, 4, 5)),
    ("isic2018", "isic2018", None, (700, 100, 150)),
    ("epfl-roads", "epfl_roads", None, (56, 14, 15)),
]


def open_real(folder: str, dataset: str, variant: str | None = None) -> Source:
    return open_source(PrepareConfig(dataset=dataset, archives=REAL / folder, variant=variant))


@pytest.mark.parametrize(("folder", "dataset", "variant", "counts"), KNOWN)
def test_real_files_are_read_as_they_lie_there(folder, dataset, variant, counts):
    source = open_real(folder, dataset, variant)
    listed = list(source.samples)
    assert tuple(sum(sample.split == split for sample in listed) for split in SPLITS) == counts
    assert all(sample.label for sample in listed)
    assert source.passed_over == []
    for sample in listed[:: max(1, len(listed) // 8)]:
        image, unusual = sample.image()
        label = sample.label()
        assert label.shape == image.shape[:2]
        assert image.ndim == source.channels // 2 + 2
        assert set(np.unique(label)) <= {*range(len(source.classes)), 255}
        assert unusual == []
    lists = {"camvid", "msrc-v2", "isic2018", "epfl-roads"}
    assert any("the splits are those of train.txt" in note for note in source.notes) == (folder in lists)
    assert [note for note in source.notes if not note.startswith("the splits are those of")] == [
        f"no picture of {split} is here" for split, count in zip(SPLITS, counts, strict=True) if not count
    ]


def shares(folder: str, dataset: str, name: str, variant: str | None = None) -> dict[str, float]:
    source = open_real(folder, dataset, variant)
    label = samples(source)[name].label()
    counts = np.bincount(label.ravel(), minlength=256)
    named = {source.classes.names[number]: counts[number] / label.size for number in range(len(source.classes))}
    return {**{key: share for key, share in named.items() if share}, "ignored": counts[255] / label.size}


def test_what_pictures_show_is_what_their_labels_say():
    assert shares("voc2012", "voc2012", "2007_000925").keys() == {"background", "sheep", "ignored"}
    assert shares("msrc-v2", "msrc_v2", "10_13_s").keys() == {"flower", "ignored"}
    street = shares("camvid", "camvid", "0001TP_006690")
    assert street["road"] > 0.05
    assert street["sky"] > 0.05
    assert 0 < shares("drive", "drive", "21_training")["vessel"] < 0.15
    assert shares("drive", "drive", "21_training")["ignored"] == pytest.approx(0.31, abs=0.02)
    assert shares("ade20k-sample", "ade20k", "ADE_train_00000001")["building"] == pytest.approx(0.353, abs=0.001)


def test_21_classes_of_msrc_leave_out_horse_and_mountain():
    whole, fewer = (open_real("msrc-v2", "msrc_v2", variant) for variant in ("23", "21"))
    horse, mountain = (whole.classes.names.index(name) for name in ("horse", "mountain"))
    seen = 0
    for all_classes, few in list(zip(whole.samples, fewer.samples, strict=True))[::3]:
        before, after = all_classes.label(), few.label()
        rare = np.isin(before, [horse, mountain])
        seen += rare.any()
        assert (after[rare] == 255).all()
        names_before = np.append(whole.classes.names, [""] * 256)[before[~rare]]
        names_after = np.append(fewer.classes.names, [""] * 256)[after[~rare]]
        np.testing.assert_array_equal(names_before, names_after)
    assert seen


def test_official_bitmaps_say_what_palettes_say(tmp_path):
    folder = REAL / "msrc-v2" / "msrc_objcategimagedatabase_v2"
    chosen = sorted(path.stem for path in (folder / "Images").iterdir())[::40]
    for kind, suffix in (("Images", ""), ("GroundTruth", "_GT")):
        (tmp_path / kind).mkdir()
        for name in chosen:
            (source,) = (folder / kind).glob(f"{name}{suffix}.*")
            Image.open(source).convert("RGB").save(tmp_path / kind / f"{name}{suffix}.bmp")
    bitmaps = samples(open_source(PrepareConfig(dataset="msrc_v2", archives=tmp_path)))
    palettes = samples(open_real("msrc-v2", "msrc_v2"))
    assert bitmaps.keys() == set(chosen)
    for name in chosen:
        np.testing.assert_array_equal(bitmaps[name].label(), palettes[name].label())
        # The lists of TextonBoost, which the bitmaps of the publisher come without, are those of the exercise.
        assert bitmaps[name].split == palettes[name].split
