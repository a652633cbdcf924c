"""One walk for preparing, inspecting and predicting: nothing read twice, nothing of ours read, the odd one left out."""

import json
import os
import shutil
from pathlib import Path
from unicodedata import normalize

import pytest
from filelock import FileLock
from own_pictures import indices, source_of, write_masks, write_pictures
from PIL import Image
from sample_pets import picture, report_of
from sample_sources import FORMS, pack
from sample_sources import config_of as archives_of

from core.errors import UserError
from data.inspect import main as inspect
from data.manifest import read_records
from data.prepare import main, prepare
from data.prepare_config import PrepareConfig
from data.sources.own.walking import walk
from data.sources.table import open_source
from transfer_learning.inference.inputs import find_files, result_names, unwritable


def walked(root: Path, *excluded: Path) -> tuple[list[str], dict[str, str]]:
    """Return the files below a folder as their relative names, and what is not read with its reason."""
    told: dict[str, str] = {}
    found = [
        path.relative_to(root).as_posix()
        for path in walk(root, excluded, lambda path, why: told.update({path.relative_to(root).as_posix(): why}))
    ]
    return found, told


def touch(root: Path, *names: str) -> Path:
    """Make empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_files_come_folder_by_folder_and_hidden_ones_are_told(tmp_path):
    root = touch(tmp_path, "b/2", "b/1", "a/x/1", "a/2", "3", ".hidden", ".git/4")
    assert walked(root) == (
        ["3", "a/2", "a/x/1", "b/1", "b/2"],
        {".hidden": "its name begins with a dot", ".git": "its name begins with a dot"},
    )
    assert walked(root, root / "a")[0] == ["3", "b/1", "b/2"]


def test_links_are_followed_once(tmp_path):
    elsewhere = touch(tmp_path / "elsewhere", "e/1", "2")
    root = touch(tmp_path / "root", "a/1", "z/2")
    links = {
        "again": root / "a",
        "away": elsewhere,
        "away_too": elsewhere / "e",
        "loop": root,
        "a/up": tmp_path,
        "masks": elsewhere / "e",
        "gone": tmp_path / "nowhere",
        "circle": root / "circle",
        "file": elsewhere / "2",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    found, told = walked(root)
    assert found == ["circle", "file", "gone", "a/1", "z/2", "away/2", "away/e/1"]
    assert told == {
        "again": "a link to a folder that is read, or left out, at its own place",
        "away_too": "a link to a folder that is read, or left out, at its own place",
        "masks": "a link to a folder that is read, or left out, at its own place",
        "loop": "a link to a folder that is read, or left out, at its own place",
        "a/up": "a link back to a folder that holds it",
    }
    (elsewhere / "back").symlink_to(root)
    assert walked(root)[0] == found


def test_what_this_project_wrote_is_not_read(tmp_path):
    marks = {
        "prepared/manifest.json": '{"format_version": 2}',
        "cut/prepare_report.json": '{"counts": {}}',
        "killed/settings.json": '{"dataset": "folder"}',
        "half.partial/x": "",
        "predicted/predictions.json": '{"format": 2, "num_pictures": 1}',
        "ended/masks/1.png": "",
        "ended/overlays/1.png": "",
        "ended/figures/1.png": "",
        "run/training_config.json": "{}",
        "scored/evaluation_results.json": "{}",
        "restored/reconstruction_metrics.json": "{}",
        "busy/.lock": "",
        "stopped/.unfinished.json": "[]",
        "volume/.partial/settings.json": "{}",
        "grid/plan.json": '{"format": "ablation plan 1"}',
    }
    touch(tmp_path, *marks, *(f"{Path(name).parts[0]}/deep/picture.png" for name in marks))
    for name, content in marks.items():
        (tmp_path / name).write_text(content)
    touch(
        tmp_path,
        "web/plan.json",
        "web/icon.png",
        "masks/1.png",
        "figures/1.png",
        "web/journal.jsonl",
        "web/settings.json",
    )
    (tmp_path / "web/manifest.json").write_text('{"manifest_version": 3}')
    with FileLock(tmp_path / "busy/.lock"):
        found, told = walked(tmp_path)
    assert found == [
        "figures/1.png",
        "masks/1.png",
        "web/icon.png",
        "web/journal.jsonl",
        "web/manifest.json",
        "web/plan.json",
        "web/settings.json",
    ]
    assert set(told) == {Path(name).parts[0] for name in marks}
    assert all("written by this project" in reason for reason in told.values())
    with pytest.raises(UserError, match="holds prepared pictures, written by this project: give the folder of the"):
        list(walk(tmp_path / "prepared"))
    assert walked(tmp_path / "prepared/deep")[0] == ["picture.png"]


def test_a_lock_that_nobody_holds_and_downloads_are_no_work_of_ours(tmp_path):
    root = touch(tmp_path / "others", ".lock", "1.png")
    assert walked(root) == (["1.png"], {".lock": "its name begins with a dot"})
    FORMS["isic"].make(tmp_path / "made")
    pack(tmp_path / "made", tmp_path / "packed", FORMS["isic"].archives)
    open_source(archives_of(FORMS["isic"], tmp_path / "packed"))
    unpacked = tmp_path / "raw" / "isic2018"
    assert not [*unpacked.rglob(".lock")]
    with FileLock(unpacked / ".download.lock"):
        assert walked(unpacked)[0]


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch):
    root = touch(tmp_path, "a/1", "b/2")
    scandir = os.scandir

    def refuse(folder):
        if Path(folder).name == "a":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    with monkeypatch.context() as patched:  # no longer than that: pytest lists what it clears away
        patched.setattr("data.sources.own.walking.os.scandir", refuse)
        assert walked(root) == (["b/2"], {"a": "cannot be listed: Permission denied"})
        with pytest.raises(UserError, match="cannot be listed: Permission denied"):
            list(walk(root / "a"))


def test_output_among_the_pictures_is_no_picture(tmp_path, capsys):
    images = write_pictures(tmp_path / "images", [f"p{number}" for number in range(6)])
    flags = ["--dataset", "folder", "--images", str(images), "--output_dir"]
    splits = []
    for size, output in (("40", "prepared"), ("40", "prepared"), ("48", "prepared48")):
        assert main([*flags, str(images / output), "--size", size]) == 0
        splits.append(json.loads((images / output / "splits.json").read_text()))
    assert splits[0] == splits[1] == splits[2]
    said = capsys.readouterr().out
    assert "already prepared" in said
    assert f"1 passed over (first {images / 'prepared'}: holds prepared pictures, written by this project)" in said
    half = images / "half.partial"
    half.mkdir()
    (half / "settings.json").write_text('{"dataset": "folder"}')
    write_pictures(half / "Train/resized", ["p0"], ".png")
    config = PrepareConfig(dataset="folder", images=images, output_dir=tmp_path / "out", size=40)
    prepare(config)
    assert json.loads((config.output_dir / "splits.json").read_text()) == splits[0]


def test_one_odd_entry_does_not_end_the_command(tmp_path, capsys):
    images = write_pictures(tmp_path / "images", [f"p{number}" for number in range(6)])
    (images / "gone.jpg").symlink_to("/nowhere/gone.jpg")
    os.mkfifo(images / "pipe.jpg")
    (images / "damaged.jpg").write_bytes((images / "p0.jpg").read_bytes()[:-400])
    write_pictures(images / "folder.jpg", ["inside"])
    flags = ["--dataset", "folder", "--images", str(images), "--size", "40"]
    assert main([*flags, "--output_dir", str(tmp_path / "out")]) == 0
    names = {record["name"] for record in read_records(tmp_path / "out")}
    assert names == {*(f"p{number}" for number in range(6)), "folder.jpg/inside"}
    said = capsys.readouterr().out
    gone = f"{images / 'gone.jpg'}: a link to /nowhere/gone.jpg, which is not there"
    assert f"2 passed over (first {gone})" in said
    assert f"1 left out (first {images / 'damaged.jpg'}: damaged: " in said
    assert inspect(["--images", str(images), "--no_preview"]) == 0
    assert gone.partition(": ")[2] in capsys.readouterr().out


def test_what_lies_in_the_place_of_pictures_is_named(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    strangers = {
        "pointer.jpg": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run git lfs pull"),
        "page.png": (b"<!DOCTYPE html><title>404</title>", "a web page: download the picture itself"),
        "nothing.tif": (b"", "the file is empty"),
    }
    for name, (content, _) in strangers.items():
        (images / name).write_bytes(content)
    with pytest.raises(
        UserError, match=r"holds no picture \(of 3 files; first .*nothing\.tif: not a picture: the file is empty\)"
    ):
        source_of(images)
    write_pictures(images, ["p0", "p1"])
    reasons = {Path(file).name: reason for file, reason in source_of(images).passed_over}
    assert reasons.keys() == strangers.keys()
    assert all(told in reasons[name] for name, (_, told) in strangers.items())


def test_names_that_look_the_same_are_one(tmp_path):
    composed, apart = (normalize(form, "café") for form in ("NFC", "NFD"))
    images = write_pictures(tmp_path / "images", [composed, apart, "p0", "p1", "p2"])
    shutil.copy(images / "p0.jpg", images / "p0.JPG")
    masks = write_masks(tmp_path / "masks", {name: indices(1, 3) for name in (apart, composed, "p0", "p1")})
    shutil.copy(masks / "p1.png", masks / "p1.PNG")
    source = source_of(images, masks)
    assert [sample.name for sample in source.samples if sample.label] == [composed, "p0", "p1"]
    assert len(source.samples) == 4
    assert len(source.passed_over) == 4
    alike = "its name looks the same as that of"
    reasons = {Path(file).name: reason.partition(",")[0] for file, reason in source.passed_over}
    assert reasons == {
        composed + ".jpg": f"{alike} {images / f'{apart}.jpg'}",
        "p0.jpg": "the same picture as p0.JPG",
        composed + ".png": f"{alike} {masks / f'{apart}.png'}",
        "p1.png": "the same mask as p1.PNG",
    }
    Image.fromarray(picture(9)).save(images / "p0.JPG")
    source = source_of(images, masks)
    assert [sample.name for sample in source.samples] == [composed, "p1", "p2"]
    told = dict(source.passed_over)
    for name, other in (("p0.jpg", "p0.JPG"), ("p0.JPG", "p0.jpg")):
        reason = f"another picture than {other}, which would get the same name: rename one"
        assert told[str(images / name)] == reason
    assert told[str(masks / "p0.png")].startswith("not a mask with the name of a picture")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_lists_name_pictures_in_any_form(tmp_path, encoding, form):
    names = ["café", "naïve", "p0", "p1", "p2"]
    images = write_pictures(tmp_path / "images", [normalize("NFD", name) for name in names])
    lists = tmp_path / "lists"
    lists.mkdir()
    for split, members in {"train": names[:3], "val": names[3:4], "test": names[4:]}.items():
        text = "".join(f"{normalize(form, name)}.jpg\r\n" for name in members)
        (lists / f"{split}.txt").write_bytes(text.encode(encoding))
    splits = {sample.name: sample.split for sample in source_of(images, splits=lists).samples}
    assert splits == dict(zip(names, ["Train"] * 3 + ["Val", "Test"], strict=True))


def test_a_mask_of_the_unturned_picture_is_told(tmp_path):
    images, masks = tmp_path / "images", tmp_path / "masks"
    write_pictures(images, ["p0", "p1", "p2"])
    exif = Image.Exif()
    for name, orientation in (("p0", 3), ("p1", 6)):
        exif[0x0112] = orientation
        Image.fromarray(picture(1)).save(images / f"{name}.jpg", exif=exif)
    write_masks(masks, {name: indices(1, 3) for name in ("p0", "p2")})
    (note,) = [note for note in source_of(images, masks).notes if "turned" in note]
    assert note.startswith("1 pictures with a mask are turned upright by their EXIF orientation")
    write_masks(masks, {"p1": indices(1, 3)})
    reason = "has 40 x 60: the picture was turned upright by its EXIF orientation, its mask was not; turn that too"
    with pytest.raises(UserError, match=reason):
        source_of(images, masks)


def test_a_disk_that_takes_shorter_names_leaves_those_out(tmp_path, monkeypatch):
    images = write_pictures(tmp_path / "images", ["long" * 40, "p0", "p1", "p2"])
    write = Path.write_bytes

    def refuse(path, data):
        if len(path.name) > 100:
            raise OSError(36, "File name too long", str(path))
        return write(path, data)

    monkeypatch.setattr("data.preparing.processing.temporary_beside", lambda path: path.with_name(f".{path.name}.tmp"))
    monkeypatch.setattr(Path, "write_bytes", refuse)
    config = PrepareConfig(dataset="folder", images=images, output_dir=tmp_path / "out", size=40)
    prepare(config)
    assert {record["name"] for record in read_records(config.output_dir)} == {"p0", "p1", "p2"}
    ((_, action, reason),) = report_of(config)
    assert (action, reason) == ("left out", "its name is too long for this disk: shorten it")


def test_a_prediction_reads_no_results_and_goes_round_no_circle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(Path("photos"), "a.jpg", "b/c.jpg", "out1/predictions.json", "out1/masks/a.png", "out2/masks/a.png")
    Path("photos/out1/predictions.json").write_text('{"format": 2, "num_pictures": 2}')
    for name in ("one", "other"):
        Path("photos/b", name).symlink_to(tmp_path / "photos")
    os.mkfifo("photos/pipe.jpg")
    for given in ("photos", "photos/**/*", "photos/**"):
        files, passed_over = find_files([given], Path("photos/out2"))
        assert list(files) == ["a.jpg", "b/c.jpg", "pipe.jpg"], given
        assert ("photos/out1", "holds results of a prediction, written by this project") in passed_over
    assert list(find_files(["photos/**/b/*.jpg"], Path("out"))[0]) == ["b/c.jpg"]
    assert list(find_files(["photos/*/*.jpg"], Path("out"))[0]) == ["b/c.jpg"]
    assert list(find_files(["photos/pipe.jpg"], Path("out"))[0]) == ["pipe.jpg"]
    with pytest.raises(UserError, match="holds no file to segment .*lies among results"):
        find_files(["photos/*/masks/*.png"], Path("photos/out2"))


def test_results_that_cannot_lie_side_by_side_are_left_out():
    long = "x" * 252
    names = ["tom.jpg", "tom.png/leo.jpg", f"{long}.j", *(f"{normalize(form, 'é')}.jpg" for form in ("NFC", "NFD"))]
    left_out = dict(unwritable(result_names(names)))
    assert set(left_out) == {names[1], names[2], names[4]}
    assert left_out[names[1]] == "its folder is called as the result of a picture, tom.png: rename it"
    assert left_out[names[4]].startswith("its name looks the same as that of")
