"""Volumes of every format as they are read, and what is wrong with them."""

import gzip
import json
import locale
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from sample_series import write_series
from sample_task import AFFINE, SHAPE, ball, prepare, save, write_task

from data.decoders.opening import PictureError
from data.opened import open_data
from data.prepare import main
from data.volumes.reading import read_frame, read_volume

nibabel = pytest.importorskip("nibabel")
sitk = pytest.importorskip("SimpleITK")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def noise(*modalities: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 5, (*SHAPE, *modalities))


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-7] ^= 1  # of the checksum
    path.write_bytes(data)


def with_nan(path: Path) -> None:
    array = np.zeros(SHAPE, np.float32)
    array[3, 4, 5] = np.nan
    save(path, array)


def huge(path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((30000, 30000, 300))
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4)))


def flat(path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape(SHAPE)
    header["sform_code"] = 1  # of rows of zeros
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4 + 4 * 20 * 18 * 16)))


BAD_VOLUMES = {
    "cut: its compressed data end early": cut,
    "cut: its compressed data end": lambda path: path.write_bytes(path.read_bytes()[:-8]),  # the checksum alone
    "1 of its 5760 voxels are NaN": with_nan,
    "more than the 8 that one volume may take": huge,
    "5 modalities, these data have 1: a time series?": lambda path: save(path, noise(5)),
    "empty: all its voxels are 7": lambda path: save(path, np.full(SHAPE, 7, np.float32)),
    "empty: shape 0 x 18 x 16": lambda path: save(path, np.zeros((0, *SHAPE[1:]), np.float32)),
    "CRC check failed": spoil,
    "a voxel of 1e+300, more than 32 bits hold": lambda path: save(path, noise() * (1e300 / abs(noise()).max())),
    "would become 160000 x 180000 x 200000 at the spacing": lambda path: save(path, noise(), np.diag([1e4] * 3 + [1])),
    "damaged, or no volume": lambda path: path.write_bytes(b"no volume at all"),
    "a volume has three axes": lambda path: save(path, np.zeros((20, 18), np.float32)),
    "axes that coincide": flat,
}


@pytest.mark.parametrize("message", BAD_VOLUMES)
def test_a_volume_that_cannot_be_used_is_left_out_by_name(tmp_path, message, capsys):
    root = write_task(tmp_path / "task")
    BAD_VOLUMES[message](root / "imagesTr" / "case_1.nii.gz")
    assert prepare(tmp_path) == 0, capsys.readouterr()
    report = json.loads((tmp_path / "out" / "prepare_report.json").read_text())
    (entry,) = [entry for entry in report["files"] if entry["action"] == "left out"]
    assert message in entry["reason"]
    assert entry["file"].endswith("case_1.nii.gz")


def test_own_volumes_of_other_formats_are_read_alike(tmp_path):
    root = write_task(tmp_path / "task", values=(0, 1, 2))
    for number in range(8):
        for folder in ("imagesTr", "labelsTr"):
            path = root / folder / f"case_{number}.nii.gz"
            suffix = (".nrrd", ".mha", ".nii")[number % 3]
            (target := tmp_path / folder).mkdir(exist_ok=True)
            sitk.WriteImage(sitk.ReadImage(str(path)), str(target / f"case_{number}{suffix}"))
    own = ["--images", str(tmp_path / "imagesTr"), "--masks", str(tmp_path / "labelsTr")]
    assert main(["--dataset", "volumes", *own, "--output_dir", str(tmp_path / "own")]) == 0
    assert prepare(tmp_path) == 0
    found = [open_data(tmp_path / name) for name in ("own", "out")]
    assert found[0].manifest.class_set.names == ("background", "class_1", "class_2")
    digests = [
        {record.name: record.sha256 for records in data.records("Train", "Val", "Test").values() for record in records}
        for data in found
    ]
    assert digests[0] == digests[1]


def test_a_dicom_folder_of_two_series_is_left_out_and_one_is_read(tmp_path, capsys):
    encoding = locale.getencoding()
    for case, series in (("one", 1), ("two", 2), ("three", 1), ("four", 1)):
        for number in range(series):
            write_series(tmp_path / "images" / case, number + len(case))
    own = ["--dataset", "volumes", "--images", str(tmp_path / "images"), "--output_dir", str(tmp_path / "out")]
    assert main(own) == 0, capsys.readouterr()
    assert locale.getencoding() == encoding  # which ITK changes
    assert "a folder of 2 DICOM series" in (tmp_path / "out" / "prepare_report.json").read_text()
    manifest = open_data(tmp_path / "out").manifest
    assert "and there are none: each volume is read by" in capsys.readouterr().out
    assert manifest.intensity[0].kind == "mr"  # CT without a mask has no foreground to go by
    assert manifest.counts["Train"].labelled == 0
    assert main([*own[:-1], str(tmp_path / "ct"), "--intensity", "ct"]) == 2
    assert "give --intensity window:40/400" in capsys.readouterr().err
    assert not (tmp_path / "ct").exists()


DAMAGE = {
    "its 5 slices do not lie evenly behind each other (2 to 4 mm apart": lambda series: series[3].unlink(),
    "1 of its slices cannot be read, as 3_3.dcm": lambda series: series[3].write_bytes(series[3].read_bytes()[:-100]),
    "its 6 slices do not lie evenly": lambda series: write_series(series[0].parent, 3, apart=0),
    "": lambda series: [
        path.rename(path.with_name(path.name.replace("_", ".").removesuffix(".dcm"))) for path in series
    ],
    " ": lambda series: (series[0].parent / "notes.txt").write_text("not a slice"),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_a_dicom_series_with_a_gap_is_left_out_and_one_named_otherwise_is_read(tmp_path, message):
    for case in ("a", "b", "c"):
        write_series(tmp_path / "images" / case, 3)
    DAMAGE[message](sorted((tmp_path / "images" / "a").iterdir()))
    own = ["--dataset", "volumes", "--images", str(tmp_path / "images"), "--output_dir", str(tmp_path / "out")]
    assert main(own) == 0
    left_out = json.loads((tmp_path / "out" / "prepare_report.json").read_text())["counts"].get("left out", 0)
    assert left_out == bool(message.strip())
    assert message.strip() in (tmp_path / "out" / "prepare_report.json").read_text()


def test_places_and_values_that_are_of_no_volume_are_refused_with_the_remedy(tmp_path, capsys):
    write_series(tmp_path / "scan", 3)
    out = ["--output_dir", str(tmp_path / "out")]
    assert main(["--dataset", "volumes", "--images", str(tmp_path / "scan"), *out]) == 2
    assert "a DICOM series itself: give the folder above it" in capsys.readouterr().err
    for number in range(4):
        save(tmp_path / "images" / f"{number}.nii.gz", noise() + number)
        save(tmp_path / "masks" / f"{number}.nii.gz", ball(number).astype(np.int16) - 1)
    own = ["--images", str(tmp_path / "images"), "--masks", str(tmp_path / "masks"), *out]
    assert main(["--dataset", "volumes", *own]) == 2
    assert "a class of value -1: masks of volumes hold 0 to 2147483647" in capsys.readouterr().err
    assert main(["--dataset", "folder", "--images", str(tmp_path / "images"), *out]) == 2
    assert "ae-pretrained prepare --dataset volumes takes them" in capsys.readouterr().err
    (tmp_path / "images" / "gone.nii.gz").symlink_to(tmp_path / "nothing")
    assert main(["--dataset", "volumes", "--images", str(tmp_path / "images"), *out]) == 2
    assert "gone.nii.gz leads nowhere" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_odd_first_volume_does_not_decide_for_all(tmp_path):
    for number, array in enumerate([noise(5), *(noise() + seed for seed in range(4))]):
        save(tmp_path / "images" / f"{number}.nii.gz", array)
    (tmp_path / "images" / "read.me").write_text("no volume")
    own = ["--dataset", "volumes", "--images", str(tmp_path / "images"), "--output_dir", str(tmp_path / "out")]
    assert main(own) == 0
    assert open_data(tmp_path / "out").manifest.channels == 1
    report = json.loads((tmp_path / "out" / "prepare_report.json").read_text())
    assert report["counts"]["left out"] == 1
    assert [entry["action"] for entry in report["files"] if entry["file"].endswith("read.me")] == ["passed over"]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_cut_files_of_itk_are_told_in_a_line(tmp_path, suffix, compressed, capfd):
    path = tmp_path / f"cut{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(noise().astype(np.float32)), str(path), compressed)
    read_volume(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(PictureError, match="cut: its data end early"):
        read_volume(path)
    assert capfd.readouterr().err == ""


def test_what_itk_would_take_memory_for_is_refused_by_its_header(tmp_path):
    head = "NRRD0004\ntype: float\ndimension: 4\nsizes: 4000 128 128 128\nkinds: vector domain domain domain\n"
    rest = "space dimension: 3\nspace directions: none (1,0,0) (0,1,0) (0,0,1)\nencoding: raw\nendian: little\n\n"
    (tmp_path / "vector.nrrd").write_text(head + rest)
    with pytest.raises(PictureError, match="declares 128 x 128 x 128 x 4000 voxels, 31 GiB"):
        read_volume(tmp_path / "vector.nrrd")


def test_no_text_of_a_header_and_no_unused_number_comes_through(tmp_path):
    fields = {"descrip": 79, "aux_file": 23, "intent_name": 15, "db_name": 17, "data_type": 9}
    save(tmp_path / "one.nii.gz", noise(), **{name: b"MILLER 19510203"[:length] for name, length in fields.items()})
    image = nibabel.load(tmp_path / "one.nii.gz")
    image.header["glmax"], image.header["extents"] = 19510203, 19510203
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"MILLER"))
    nibabel.save(image, tmp_path / "two.nii.gz")
    kept = b64decode(read_frame(tmp_path / "two.nii.gz").header)
    assert b"MILLER" not in kept
    assert (19510203).to_bytes(4, "little") not in kept
    assert nibabel.Nifti1Header(kept, check=False).get_sform().tolist() == AFFINE.tolist()


def test_modalities_lie_in_a_file_each_and_numbers_of_cases_are_none(tmp_path, capsys):
    root = write_task(tmp_path / "task", modalities=2)
    for path in sorted((root / "imagesTr").iterdir()):
        number = int(path.name[5])
        (root / "labelsTr" / path.name).rename(root / "labelsTr" / f"case_{number + 1:04d}.nii.gz")
        if number % 2:  # both modalities in one file
            path.rename(path.with_name(f"case_{number + 1:04d}.nii.gz"))
            continue
        image = nibabel.load(path)
        for modality in range(2):
            save(path.with_name(f"case_{number + 1:04d}_000{modality}.nii.gz"), image.get_fdata()[..., modality])
        path.unlink()
    assert prepare(tmp_path) == 0, capsys.readouterr()
    records = open_data(tmp_path / "out").records("Train", "Val", "Test")
    names = sorted(record.name for split in records.values() for record in split)
    assert names == [f"case_{number:04d}" for number in range(1, 9)]
    assert all(record.labelled for split in records.values() for record in split)
    (root / "imagesTr" / "case_0001_0001.nii.gz").rename(root / "imagesTr" / "case_0001_0002.nii.gz")
    assert main(["--dataset", "msd", "--archives", str(root), "--output_dir", str(tmp_path / "again")]) == 0
    report = (tmp_path / "again" / "prepare_report.json").read_text()
    assert "1 modalities, these data have 2" in report
