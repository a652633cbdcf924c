"""Every public data set, in every form, made up in a few small files."""

import json

import numpy as np
import pytest
from sample_layouts import make_isbi
from sample_sources import FORMS, config_of, names, pack, read, samples

from core.errors import UserError
from data.manifest import SPLITS
from data.opened import open_data
from data.prepare import prepare
from data.sources.table import DATA_SETS, open_source

EXPECTED = {  # how many pictures each split holds, and the names of Test
    "voc": ((6, 1, 2), {"2007_000006", "2007_000007"}),
    "voc aug": ((6, 1, 2), {"2007_000006", "2007_000007"}),
    "camvid": ((3, 1, 2), {"Seq05VD_5", "Seq05VD_6"}),
    "camvid colours": ((4, 2, 1), {"Seq05VD_7"}),
    "camvid fastai": ((4, 2, 1), {"Seq05VD_7"}),
    "msrc": ((1, 2, 1), {"1_1_s"}),
    "msrc exercise": ((2, 1, 1), {"1_2_s"}),
    "cityscapes": ((4, 2, 2), {"munster_000001_000019", "munster_000002_000019"}),
    "ade20k": ((4, 1, 2), {"ADE_val_00000001", "ADE_val_00000002"}),
    "drive": ((4, 1, 3), {"01_test", "02_test", "03_test"}),
    "isbi": ((6, 2, 2), {"slice_08", "slice_09"}),
    "isic": ((5, 1, 2), {"ISIC_0000007", "ISIC_0000008"}),
    "epfl": ((2, 1, 1), {"satImage_004"}),
}
PACKED = [name for name, form in FORMS.items() if form.archives]


@pytest.mark.parametrize("name", FORMS)
def test_splits_and_labels_are_the_official_ones(name, tmp_path):
    labels = FORMS[name].make(tmp_path / "data")
    source = read(FORMS[name], tmp_path / "data")
    counts, test = EXPECTED[name]
    assert tuple(len(names(source, split)) for split in SPLITS) == counts
    assert names(source, "Test") == test
    assert list(samples(source)) == sorted(labels)
    for sample in source.samples:
        expected = labels[sample.name]
        image, _ = sample.image()
        assert image.shape == (12, 16, 3) if source.channels == 3 else image.shape == (12, 16)
        assert (sample.label is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(sample.label(), expected)
            assert sample.label().dtype == np.uint8
            assert set(np.unique(expected)) <= {*range(len(source.classes)), 255}


@pytest.mark.parametrize("name", PACKED)
def test_archives_give_what_the_unpacked_folder_gives(name, tmp_path):
    form = FORMS[name]
    form.make(tmp_path / "data")
    pack(tmp_path / "data", tmp_path / "packed", form.archives)
    unpacked, packed = read(form, tmp_path / "data"), read(form, tmp_path / "packed")
    assert set(packed.details["archives"]) == set(form.archives)
    assert [(s.name, s.split, dict(s.tags)) for s in packed.samples] == [
        (s.name, s.split, dict(s.tags)) for s in unpacked.samples
    ]
    for one, other in zip(packed.samples, unpacked.samples, strict=True):
        np.testing.assert_array_equal(one.image()[0], other.image()[0])
        if other.label:
            np.testing.assert_array_equal(one.label(), other.label())


@pytest.mark.parametrize("name", FORMS)
def test_an_empty_folder_is_one_line_that_says_what_is_needed_and_what_is_there(name, tmp_path):
    (tmp_path / "data" / "holiday").mkdir(parents=True)
    with pytest.raises(UserError, match=r"lacks .*; found: holiday\.") as error:
        read(FORMS[name], tmp_path / "data")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="is not a folder"):
        read(FORMS[name], tmp_path / "nowhere")


def test_data_prepared_before_their_archives_could_be_fetched_stay_as_they_are(tmp_path, capsys):
    FORMS["isic"].make(tmp_path / "data")
    config = config_of(FORMS["isic"], tmp_path / "data", output_dir=tmp_path / "out", size=16, workers=1)
    prepare(config)
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest["source"].pop("download") is False
    manifest.pop("sha256")
    manifest["format_version"] = 2
    path.write_text(json.dumps(manifest))
    prepare(config)
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["voc", "ade20k", "drive"])
def test_val_is_drawn_from_train_by_the_seed_alone(name, tmp_path):
    form = FORMS[name]
    form.make(tmp_path / "data")
    drawn = [names(read(form, tmp_path / "data", seed=seed), "Val") for seed in (1, 1, *range(2, 12))]
    assert drawn[0] == drawn[1]
    assert len(set(map(frozenset, drawn))) > 1
    assert not any(val & EXPECTED[name][1] for val in drawn)


def test_no_city_and_no_sequence_lies_in_two_splits(tmp_path):
    for name, tag in (("cityscapes", "city"), ("camvid colours", "sequence")):
        FORMS[name].make(tmp_path / name)
        for seed in range(6):
            source = read(FORMS[name], tmp_path / name, seed=seed)
            places = {(sample.tags[tag], sample.split) for sample in source.samples}
            assert len(places) == len({group for group, _ in places})


def test_the_block_of_val_lies_between_train_and_test(tmp_path):
    labels = make_isbi(tmp_path / "data", numbers=(0, 1, 2, 4, 6, 7, 8, 9, 11, 12))
    source = read(FORMS["isbi"], tmp_path / "data")
    assert list(samples(source)) == list(labels)
    by_split = [names(source, split) for split in SPLITS]
    assert by_split[1:] == [{"slice_08", "slice_09"}, {"slice_11", "slice_12"}]
    assert samples(source)["slice_04"].image()[0].max() == 13  # the fourth page


@pytest.mark.parametrize("name", ["msrc exercise", "isbi", "drive"])
def test_a_whole_preparation(name, tmp_path):
    form = FORMS[name]
    form.make(tmp_path / "data")
    config = config_of(form, tmp_path / "data", output_dir=tmp_path / "out", size="24x32", workers=1)
    prepare(config)
    source = open_source(config)
    split = open_data(tmp_path / "out").split("Test")
    assert split.class_set.content() == source.classes.content()
    assert split.channels == source.channels
    for index, sample in enumerate(sorted(names(source, "Test"))):
        assert split.names[index] == sample
        np.testing.assert_array_equal(split.truth(index), samples(source)[sample].label())


def test_rows_say_where_a_data_set_comes_from():
    public = {name: row for name, row in DATA_SETS.items() if "archives" in row.settings}
    assert {form.dataset for form in FORMS.values()} == public.keys() - {"oxford_pets", "msd"}
    for row in public.values():
        assert row.licence
        assert row.citation
        assert row.address.startswith("http")
