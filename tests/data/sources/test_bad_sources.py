"""Folders, lists and masks of public data sets that are not as their publishers made them."""

import numpy as np
import pytest
from sample_layouts import halves, make_isbi, save, save_pages, save_picture, write
from sample_sources import FORMS, names, read, remove, samples

from core.errors import UserError
from data.pictures import PictureError
from data.sources.layout.division import held_out_groups
from data.sources.layout.listed import files_by_name, read_names, read_splits

CAMVID = "CamVid"
VOC = "VOCdevkit/VOC2012"
VOC_LISTS = f"{VOC}/ImageSets/Segmentation"


@pytest.fixture
def made(tmp_path):
    def make(name):
        FORMS[name].make(tmp_path / "data")
        return tmp_path / "data"

    return make


@pytest.mark.parametrize(
    ("name", "file", "pixels", "message"),
    [
        ("voc", f"{VOC}/SegmentationClass/2007_000001.png", halves(15, 21), "values .*: 21 in 96 pixels"),
        ("camvid", f"{CAMVID}/trainannot/0001TP_1.png", halves(3, 12), "12 in 96 pixels"),
        ("msrc", "msrc_objcategimagedatabase_v2/GroundTruth/1_4_s_GT.bmp", halves(24, 0), "24 in 96 pixels"),
        ("cityscapes", "gtFine/train/ulm/ulm_000001_000019_gtFine_labelIds.png", halves(34, 0), "34 in 96"),
        ("ade20k", "ADEChallengeData2016/annotations/training/ADE_train_00000001.png", halves(151, 1), "151 in 96"),
        ("isic", "ISIC2018_Task1_Training_GroundTruth/ISIC_0000001_segmentation.png", halves(0, 128), "128 in 96"),
    ],
)
def test_unknown_values_are_named(made, name, file, pixels, message):
    root = made(name)
    save(root / file, pixels)
    label_files = {sample.label_file: sample for sample in read(FORMS[name], root).samples}
    (sample,) = (sample for shown, sample in label_files.items() if file.endswith(shown) and shown)
    with pytest.raises(PictureError, match=message):
        sample.label()


def test_unknown_colours_are_named(made):
    root = made("camvid colours")
    save(root / "LabeledApproved_full" / "0001TP_1_L.png", np.full((12, 16, 3), (1, 2, 3), np.uint8))
    with pytest.raises(PictureError, match=r"\(1, 2, 3\) in 192 pixels"):
        samples(read(FORMS["camvid colours"], root))["0001TP_1"].label()


def test_listed_pictures_that_are_missing_are_reported_and_the_rest_is_used(made):
    root = made("voc")
    (root / VOC / "JPEGImages" / "2007_000002.jpg").unlink()
    (root / VOC / "SegmentationClass" / "2007_000003.png").unlink()
    source = read(FORMS["voc"], root)
    assert ("2007_000002", "listed, but there is no such picture") in source.passed_over
    assert ("SegmentationClass/2007_000002.png", "a mask without its picture") in source.passed_over
    assert samples(source)["2007_000003"].label is None
    remove(root / VOC / "JPEGImages")
    (root / VOC / "JPEGImages").mkdir()
    with pytest.raises(UserError, match="holds none of the 7 listed pictures, 2007_000001 the first"):
        read(FORMS["voc"], root)


def test_which_files_are_missing_never_moves_a_picture_to_another_split(made):
    root = made("voc")
    before = {sample.name: sample.split for sample in read(FORMS["voc"], root).samples}
    for name in ("2007_000001", "2007_000006"):
        (root / VOC / "SegmentationClass" / f"{name}.png").unlink()
    (root / VOC / "JPEGImages" / "2007_000002.jpg").unlink()
    after = {sample.name: sample.split for sample in read(FORMS["voc"], root).samples}
    assert after.items() <= before.items()
    assert len(after) == len(before) - 1


def test_pictures_and_masks_in_no_list_are_reported(made):
    root = made("voc")
    for name in ("2007_000005", "2007_000007"):
        for file in ("train", "val", "trainval"):
            path = root / VOC_LISTS / f"{file}.txt"
            path.write_text(path.read_text().replace(f"{name}\n", ""))
    passed_over = dict(read(FORMS["voc"], root).passed_over)
    for name in ("2007_000005", "2007_000007"):
        assert passed_over[f"JPEGImages/{name}.jpg"] == "in no list"
        assert passed_over[f"SegmentationClass/{name}.png"] == "in no list"
    root = made("msrc")
    assert ("Images/Thumbs.db", "in no list") in read(FORMS["msrc"], root).passed_over


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train.txt", "2007_000001\n2007_000001\n", r"train\.txt lists 2007_000001 twice"),
        ("train.txt", "2007_000006\n", "2007_000006 stands in train.txt and in val.txt"),
        ("val.txt", "\n", r"val\.txt names no pictures"),
        ("val.txt", None, r"val\.txt is missing"),
        ("val.txt", b"\xff\xfe\x00", r"val\.txt is no text"),
    ],
)
def test_lists_that_are_missing_or_malformed(made, file, content, message):
    root = made("voc")
    path = root / VOC_LISTS / file
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message):
        read(FORMS["voc"], root)


def test_trainval_serves_where_train_is_missing(made):
    root = made("voc")
    whole = {sample.name: sample.split for sample in read(FORMS["voc"], root).samples}
    (root / VOC_LISTS / "train.txt").unlink()
    assert {sample.name: sample.split for sample in read(FORMS["voc"], root).samples} == whole


def test_a_list_of_the_larger_training_set_wins(made):
    root = made("voc aug")
    save(root / "SegmentationClassAug" / "2007_000009.png", halves(1, 2))
    assert samples(read(FORMS["voc aug"], root))["2007_000009"].label().max() == 2
    write(root / VOC_LISTS / "train_aug.txt", "/JPEGImages/2007_000008.jpg /SegmentationClassAug/2007_000008.png")
    source = read(FORMS["voc aug"], root)
    assert ("JPEGImages/2007_000009.jpg", "in no list") in source.passed_over
    assert samples(source)["2007_000008"].label is not None


def test_lists_in_the_folder_win_and_suffixes_do_not_count(made, tmp_path):
    root = made("isic")
    folder = root / "ISIC2018_Task1-2_Training_Input"
    assert names(read(FORMS["isic"], root), "Test") == {"ISIC_0000007", "ISIC_0000008"}
    write(root / "train.txt", "ISIC_0000001", "ISIC_0000002.png")
    write(root / "val.txt", "some/where/ISIC_0000003.jpg")
    write(root / "test.txt", "ISIC_0000004")
    source = read(FORMS["isic"], root)
    assert {sample.name: sample.split for sample in source.samples} == {
        "ISIC_0000001": "Train",
        "ISIC_0000002": "Train",
        "ISIC_0000003": "Val",
        "ISIC_0000004": "Test",
    }
    assert (f"{folder.name}/ISIC_0000005.jpg", "in no list") in source.passed_over


def test_isic_without_its_test_part_says_what_is_test_instead(made):
    root = made("isic")
    remove(root / "ISIC2018_Task1-2_Test_Input")
    source = read(FORMS["isic"], root)
    assert names(source, "Test") == {"ISIC_0000006"}
    assert len(names(source, "Val")) == 1
    assert "the official validation part is Test" in source.notes[0]
    remove(root / "ISIC2018_Task1-2_Validation_Input")
    source = read(FORMS["isic"], root)
    assert [len(names(source, split)) for split in ("Train", "Val", "Test")] == [3, 1, 1]
    assert "drawn from it by the seed" in source.notes[0]


def test_two_files_for_one_picture_are_refused(made):
    root = made("camvid")
    save_picture(root / CAMVID / "train" / "0001TP_1.jpg")
    with pytest.raises(UserError, match=r"0001TP_1\.jpg and .*0001TP_1\.png are two files for one name"):
        read(FORMS["camvid"], root)


def test_a_labelled_picture_needs_its_field_of_view(made):
    root = made("drive")
    save(root / "DRIVE/training/mask/21_training_mask.gif", np.full((10, 16), 255, np.uint8))
    with pytest.raises(PictureError, match="16 x 12 pixels, its field of view has 16 x 10"):
        samples(read(FORMS["drive"], root))["21_training"].label()
    remove(root / "DRIVE/training/mask/21_training_mask.gif")
    with pytest.raises(UserError, match=r"no field of view for 21_training\.tif"):
        read(FORMS["drive"], root)
    remove(root / "DRIVE/training/1st_manual/21_manual1.gif")
    assert samples(read(FORMS["drive"], root))["21_training"].label is None


def test_volumes_that_do_not_fit(tmp_path):
    root = tmp_path / "data"
    make_isbi(root)
    write(root / "slices.txt", "0", "1")
    with pytest.raises(UserError, match=r"slices\.txt must hold 10 different numbers"):
        read(FORMS["isbi"], root)
    (root / "slices.txt").unlink()
    save_pages(root / "train-labels.tif", [halves(0, 200)] * 10)
    with pytest.raises(PictureError, match=r"page 0 holds \[200\]"):
        samples(read(FORMS["isbi"], root))["slice_00"].label()
    save_pages(root / "train-labels.tif", [halves(0, 255)] * 9)
    with pytest.raises(UserError, match="has 10 pages, train-labels.tif 9"):
        read(FORMS["isbi"], root)
    (root / "train-volume.tif").write_bytes(b"no tiff")
    with pytest.raises(UserError, match=r"train-volume\.tif is no TIFF"):
        read(FORMS["isbi"], root)


def test_codes_of_fastai_must_be_classes_of_camvid(made):
    root = made("camvid fastai")
    write(root / "camvid/codes.txt", "Void", "Unicorn")
    with pytest.raises(UserError, match="Unicorn, which is none of CamVid's classes"):
        read(FORMS["camvid fastai"], root)


def test_names_and_splits_of_lists(tmp_path):
    write(tmp_path / "train.txt", "a/one.png b/one_mask.png", "", "two")
    assert read_names(tmp_path / "train.txt") == ["one", "two"]
    assert read_splits(tmp_path) == {"one": "Train", "two": "Train"}
    write(tmp_path / "test.txt", "two.jpg")
    with pytest.raises(UserError, match=r"two stands in train\.txt and in test\.txt"):
        read_splits(tmp_path)
    assert read_splits(tmp_path / "nowhere") == {}
    write(tmp_path / ".hidden.png", "")
    (tmp_path / "folder").mkdir()
    assert files_by_name([tmp_path, tmp_path / "nowhere"]).keys() == {"train", "test"}


def test_whole_groups_are_held_out_near_the_share():
    groups = {f"{group}{number}": group for group, size in (("a", 50), ("b", 10), ("c", 12)) for number in range(size)}
    for seed in range(20):
        held = held_out_groups(groups, 0.2, seed)
        assert {groups[name] for name in held} in ({"b"}, {"c"})  # 14.4 of 72: neither 50 nor 22 come nearer
        assert all(name in held for name in groups if groups[name] in {groups[one] for one in held})
    assert held_out_groups(groups, 0, 1) == set()
    assert 0 < len(held_out_groups(groups, 0.99, 1)) < len(groups)
    assert len(held_out_groups(dict.fromkeys("abcdefghij", "a"), 0.2, 1)) == 2
