import json
import tarfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sample_pets import (
    BREEDS,
    LABEL_FOLDERS,
    TEST,
    TRAINVAL,
    make_pets,
    picture,
    pixels,
    report_of,
    run,
    size_of,
    trimap,
)

from core.errors import UserError
from data import prepare as command
from data.geometry import fit
from data.prepare import prepare
from data.prepare_config import PrepareConfig
from data.sources import oxford_pets
from data.sources.source import hash_splits, held_out


@pytest.fixture
def pets(tmp_path) -> Path:
    return make_pets(tmp_path / "pets")


@pytest.fixture
def config(pets, tmp_path) -> PrepareConfig:
    return PrepareConfig(archives=pets, output_dir=tmp_path / "out", raw_dir=tmp_path / "raw", size=48, workers=2)


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_every_file_of_the_layout_is_written_through_one_geometry(config, pets, mode):
    manifest = run(replace(config, resize_mode=mode))
    assert len(manifest["images"]) == 28
    for record in manifest["images"]:
        name, folder = record["name"], config.output_dir / record["split"]
        original = pixels(pets / "images" / f"{name}.jpg")
        geometry = fit(*original.shape[:2], 48, 48, mode)
        assert asdict(geometry) == record["geometry"]
        assert np.abs(pixels(folder / "resized" / f"{name}.png") - geometry.image(original).astype(int)).max() <= 2
        label, truth = folder / LABEL_FOLDERS[record["split"]] / f"{name}.png", folder / "original_labels"
        assert record["labelled"] == bool(int(name[-1]) % 2) == label.exists()
        if record["labelled"]:
            value = 1 if record["tags"]["species"] == "cat" else 2
            expected = np.array([9, value, 0, 255], np.uint8)[trimap(*original.shape[:2])]
            np.testing.assert_array_equal(pixels(label), geometry.label(expected))
            np.testing.assert_array_equal(pixels(truth / f"{name}.png"), expected)
            assert record["classes"] == [0, value]


def test_manifest_counts_and_names(config):
    manifest = run(config)
    assert manifest["class_set"]["names"] == ["background", "cat", "dog"]
    assert (manifest["channels"], manifest["size"], manifest["stratum"]) == (3, [48, 48], "species")
    assert manifest["counts"]["Test"] == {"images": 8, "labelled": 4}
    assert manifest["pictures_of_classes"]["Test"] == [4, 2, 2]
    assert {record["tags"]["breed"] for record in manifest["images"]} == set(BREEDS)
    assert all((record["tags"]["species"] == "cat") == record["name"][0].isupper() for record in manifest["images"])
    splits = json.loads((config.output_dir / "splits.json").read_text())
    assert sorted(splits["Test"]) == sorted(TEST)
    assert sorted(splits["Train"] + splits["Val"]) == sorted(TRAINVAL)
    assert sorted(name[:-2] for name in splits["Val"]) == sorted(BREEDS)  # one of five of each breed
    top = {path.name for path in config.output_dir.iterdir()}
    assert top == {
        "Train",
        "Val",
        "Test",
        "manifest.json",
        "splits.json",
        "prepare_report.json",
        "inputs.json",
        "arrays",
    }


def test_membership_depends_on_the_lists_alone(config, pets):
    before = {record["name"]: record["split"] for record in run(config)["images"]}
    for name in (TRAINVAL[0], TRAINVAL[7]):
        (pets / "images" / f"{name}.jpg").unlink()
    for mask in (pets / "annotations" / "trimaps").glob("[Bp]*.png"):
        mask.unlink()
    (pets / "annotations" / "trainval.txt").write_text(
        "\n".join(reversed((pets / "annotations" / "trainval.txt").read_text().splitlines()))
    )
    other = replace(config, output_dir=config.output_dir.with_name("other"))
    after = {record["name"]: record["split"] for record in run(other)["images"]}
    assert len(after) == 26
    assert after.items() <= before.items()
    assert (f"images/{TRAINVAL[0]}.jpg", "passed over", "listed, but there is no such file") in report_of(other)


@settings(max_examples=50)
@given(st.sets(st.text(min_size=1, max_size=3), max_size=30), st.floats(0, 0.99), st.randoms())
def test_held_out_takes_the_share_in_any_order(names, ratio, random):
    shuffled = sorted(names)
    random.shuffle(shuffled)
    chosen = held_out({name: name[0] for name in names}, ratio, 42)
    assert chosen == held_out({name: name[0] for name in shuffled}, ratio, 42)
    if len(names) > 1:
        assert len(chosen) == (min(max(1, round(ratio * len(names))), len(names) - 1) if ratio else 0)
        assert chosen < names


def test_seeds_give_other_splits_of_the_same_shares():
    names = [str(number) for number in range(100)]
    one, other = (hash_splits(names, 0.25, 0.2, seed) for seed in (1, 2))
    assert one != other
    assert {split: list(one.values()).count(split) for split in one.values()} == {"Train": 60, "Val": 20, "Test": 20}


def test_archives_and_unpacked_folder_give_the_same_data(config, pets, tmp_path):
    (pets / "images" / "stray.mat").write_bytes(b"x")
    (pets / "annotations" / "trimaps" / "._Bengal_1.png").write_bytes(b"x")
    unpacked = run(config)
    (tmp_path / "packed").mkdir()
    for name in ("images", "annotations"):
        with tarfile.open(tmp_path / "packed" / f"{name}.tar.gz", "w:gz") as tar:
            tar.add(pets / name, name)
    packed_config = replace(config, archives=tmp_path / "packed", output_dir=tmp_path / "elsewhere" / "out2", workers=1)
    packed = run(packed_config)
    assert packed["fingerprint"] == unpacked["fingerprint"]
    assert packed["archives"]["images.tar.gz"]["official"] is False
    assert report_of(packed_config) == [
        ("annotations/trimaps/._Bengal_1.png", "passed over", "in no list"),
        ("images/stray.mat", "passed over", "in no list"),
    ]


def test_download_uses_the_official_addresses_and_checksums(config, monkeypatch):
    asked = []
    monkeypatch.setattr(oxford_pets, "download_all", lambda files, _: asked.extend(files))
    with pytest.raises(FileNotFoundError):
        prepare(replace(config, archives=None, download=True))
    base = "https://thor.robots.ox.ac.uk/pets/"
    assert [(file.address, file.name, file.algorithm, file.checksum) for file in asked] == [
        (base + "images.tar.gz", "images.tar.gz", "md5", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
        (base + "annotations.tar.gz", "annotations.tar.gz", "md5", "95a8c909bbe2e81eed6a22bccdf3f68f"),
    ]


def test_the_fingerprint_follows_pixels_and_settings(config, pets):
    before = run(config)["fingerprint"]
    assert run(replace(config, output_dir=config.output_dir / "a", size=50))["fingerprint"] != before
    mask = trimap(*size_of("pug_1"))
    geometry = fit(*mask.shape, 48, 48, "letterbox")
    mask[2, 0] = 1
    np.testing.assert_array_equal(geometry.label(mask), geometry.label(trimap(*mask.shape)))  # seen at full size alone
    Image.fromarray(mask).save(pets / "annotations" / "trimaps" / "pug_1.png")
    assert run(replace(config, output_dir=config.output_dir / "b"))["fingerprint"] != before


def test_pictures_are_judged_by_content(config, pets):
    folder = pets / "images"
    Image.fromarray(picture(0)).save(folder / "Bengal_1.jpg", "PNG")
    Image.fromarray(picture(0)).save(folder / "Bengal_2.jpg", "GIF")
    jpeg = (folder / "pug_1.jpg").read_bytes()
    (folder / "pug_1.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "pug_2.jpg").write_bytes(b"\x00" * 5000)
    (folder / "pug_3.jpg").write_bytes(b"")
    names = {record["name"] for record in run(config)["images"]}
    assert names == set(TRAINVAL + TEST) - {"pug_1", "pug_2", "pug_3"}
    report = {file: (action, reason) for file, action, reason in report_of(config)}
    assert report["images/Bengal_1.jpg"] == ("repaired", "PNG named .jpg, read by its content")
    assert report["images/Bengal_2.jpg"] == ("repaired", "GIF named .jpg, read by its content")
    assert report["images/pug_1.jpg"] == ("left out", "damaged: Premature end of JPEG file")
    assert report["images/pug_2.jpg"][0] == report["images/pug_3.jpg"][0] == "left out"
    assert not list(config.output_dir.rglob("pug_[123].png"))
    assert np.abs(pixels(next(config.output_dir.rglob("resized/Bengal_1.png"))).astype(int)).max() > 100


def test_an_all_background_mask_is_legitimate(config, pets):
    Image.fromarray(np.full(size_of("pug_1"), 2, np.uint8)).save(pets / "annotations" / "trimaps" / "pug_1.png")
    (record,) = [record for record in run(config)["images"] if record["name"] == "pug_1"]
    assert record["labelled"]
    assert set(np.unique(pixels(next(config.output_dir.rglob(f"{LABEL_FOLDERS[record['split']]}/pug_1.png"))))) == {
        0,
        255,
    }


def test_a_second_call_does_nothing_and_other_settings_are_refused(config, capsys):
    run(config)
    times = {path: path.stat().st_mtime_ns for path in config.output_dir.rglob("*")}
    prepare(config)
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"other settings \(--size 48 there, 64 asked; --seed 42 there, 1 asked\)"):
        prepare(replace(config, size=64, seed=1))
    assert {path: path.stat().st_mtime_ns for path in config.output_dir.rglob("*")} == times


def interrupt_after(monkeypatch, count: int) -> list[str]:
    """Let `process` raise KeyboardInterrupt after `count` images; returns the names that it was called with."""
    called, real = [], command.process

    def process(sample, job):
        called.append(sample.name)
        if len(called) > count:
            raise KeyboardInterrupt
        return real(sample, job)

    monkeypatch.setattr(command, "process", process)
    return called


def test_an_interrupted_call_goes_on_and_ends_alike(config, pets, monkeypatch):
    whole = run(replace(config, output_dir=config.output_dir.with_name("whole")))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 10)
        with pytest.raises(KeyboardInterrupt):
            prepare(replace(config, workers=1))
    assert not config.output_dir.exists()
    unfinished = Path(f"{config.output_dir}.partial")
    with (unfinished / "journal.jsonl").open("a") as journal:
        journal.write('{"key": "cut by a ki')
    Image.fromarray(picture(99, *size_of("Bengal_1"))).save(pets / "images" / "Bengal_1.jpg", quality=95)
    Image.fromarray(picture(0, *size_of("Bengal_1"))).save(pets / "images" / "Bengal_1.jpg", quality=95)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            prepare(replace(config, workers=1))
    called = interrupt_after(monkeypatch, 99)
    resumed = run(config)
    assert len(called) == 28 - 10 - 4 + 1  # the fourteen are done, but one of them had changed
    assert resumed == whole
    assert not unfinished.exists()
    assert {path.relative_to(config.output_dir) for path in config.output_dir.rglob("*")} == {
        path.relative_to(config.output_dir.with_name("whole"))
        for path in config.output_dir.with_name("whole").rglob("*")
    }


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 50_000,
        b"9" * 5000,
        b"{}",
        b'{"key": "a", "record": {}, "digest": "", "notes": [], "pixels": [], "look": "", "inputs": []}',
        b"null",
        b"\xff\xfe",
        None,
    ],
    ids=["nested", "huge", "empty", "no record", "null", "no text", "no look"],
)
def test_a_journal_that_was_altered_counts_up_to_there(config, line, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            prepare(replace(config, workers=1))
    journal = Path(f"{config.output_dir}.partial") / "journal.jsonl"
    first, second, *_ = journal.read_bytes().splitlines()
    without = json.dumps({**json.loads(second), "look": ""}).encode()
    journal.write_bytes(b"\n".join([first, without if line is None else line, first, b""]))
    called = interrupt_after(monkeypatch, 99)
    assert len(run(config)["images"]) == 28
    assert len(called) == 27


def test_a_refusal_leaves_nothing(config, pets, monkeypatch):
    mask = pets / "annotations" / "trimaps" / "pug_1.png"
    whole = mask.read_bytes()
    mask.write_bytes(b"cut")
    before = set(config.output_dir.parent.rglob("*"))
    with pytest.raises(UserError, match="masks do not fit"):
        prepare(config)
    assert set(config.output_dir.parent.rglob("*")) == before
    mask.write_bytes(whole)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 10)
        with pytest.raises(KeyboardInterrupt):
            prepare(config)
    mask.write_bytes(b"cut")
    with pytest.raises(UserError, match="masks do not fit"):
        prepare(config)
    assert set(config.output_dir.parent.rglob("*")) == before
    run(replace(config, bad_masks="leave_out", size=64))


def test_what_a_kill_left_half_written_goes_when_the_same_command_goes_on(config, monkeypatch):
    expected = run(replace(config, output_dir=config.output_dir.with_name("whole")))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 10)
        with pytest.raises(KeyboardInterrupt):
            prepare(config)
    unfinished = Path(f"{config.output_dir}.partial")
    (unfinished / "arrays").mkdir()
    for name in ("inputs.json", "manifest.json", "arrays/Val-0-labels.npy"):
        path = unfinished / name
        path.with_name(f".{path.name}.{2**22 + 1}.tmp").write_bytes(b"half")
    assert run(config) == expected
    assert not [*config.output_dir.rglob("*.tmp")]


def test_what_a_kill_left_gives_way_to_other_settings(config, monkeypatch, capsys):
    expected = run(replace(config, size=64, output_dir=config.output_dir.with_name("whole")))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 10)
        with pytest.raises(KeyboardInterrupt):
            prepare(config)
    unfinished = Path(f"{config.output_dir}.partial")
    assert unfinished.is_dir()
    called = interrupt_after(monkeypatch, 99)
    assert run(replace(config, size=64)) == expected
    assert len(called) == 28
    asked = "--size 48 there, 64 asked"
    said = f"{unfinished} was left by a call with other settings ({asked}) that did not end: it is replaced"
    assert said in capsys.readouterr().out
    assert not unfinished.exists()


def test_only_what_a_preparation_left_is_replaced(config, tmp_path, monkeypatch):
    unfinished = Path(f"{config.output_dir}.partial")
    unfinished.mkdir()
    (unfinished / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds thesis\.tex, which is of no unfinished preparation"):
        prepare(config)
    (unfinished / "thesis.tex").rename(unfinished / "manifest.json")
    with pytest.raises(UserError, match=r"holds manifest\.json, which is of no unfinished preparation"):
        prepare(config)
    assert [path.name for path in unfinished.iterdir()] == ["manifest.json"]
    (unfinished / "manifest.json").unlink()
    with monkeypatch.context() as patch:
        interrupt_after(patch, 10)
        with pytest.raises(KeyboardInterrupt):
            prepare(config)
    (unfinished / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds thesis\.tex"):
        prepare(replace(config, size=64))
    assert (unfinished / "thesis.tex").read_text() == "years of work"
    unfinished.rename(tmp_path / "elsewhere")
    unfinished.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is no folder: move it away"):
        prepare(config)
    unfinished.unlink()
    unfinished.mkdir()
    (unfinished / ".lock").touch()  # killed before anything was written
    run(config)


def test_no_more_than_a_few_images_are_under_way():
    taken = []
    mapped = command.bounded_map(lambda item: item * 2, (taken.append(i) or i for i in range(500)), workers=2)
    for count, result in enumerate(mapped):
        assert result == 2 * count
        assert len(taken) <= count + 2 * 4 + 1
