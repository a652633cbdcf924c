"""Preparing and reading data keep no more in memory for many pictures than for few; what lies on disk is as before."""

import json
import random
from dataclasses import asdict
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
from PIL import Image
from sample_classes import head_of
from sample_pets import picture

from core.classes import ClassSet
from core.errors import UserError
from core.files import write_json
from data import manifest as manifests
from data import prepare as command
from data.geometry import fit
from data.manifest import read_manifest, read_records
from data.on_disk import sorted_rows
from data.opened import open_data
from data.prepare import prepare
from data.prepare_config import PrepareConfig
from data.prepared import streamed
from data.preparing.journal import Journal
from data.preparing.looks import SIDE, Look
from data.preparing.processing import Outcome
from data.sources.source import hash_splits, held_out


def noted(sample, job) -> Outcome:
    """Finish a sample without reading or writing its picture."""
    geometry = asdict(fit(40, 60, *job.sides, job.resize_mode))
    names = {name: getattr(sample, name) for name in ("name", "split", "tags")}
    known = {"labelled": sample.label is not None, "classes": [0, 1], "geometry": geometry}
    number = int.from_bytes(sample.name.encode()[-6:])
    look = Look(f"{number:016x}", number, np.full((SIDE, SIDE), number % 256, np.uint8))
    return Outcome(sample, {**names, **known}, "0" * 64, look)


def linked(folder: Path, count: int) -> Path:
    folder.mkdir()
    Image.fromarray(picture(1)).save(folder / "base.png")
    for index in range(count - 1):
        (folder / f"my picture {index:06d}.png").hardlink_to(folder / "base.png")
    return folder


@pytest.mark.parametrize("dataset", ["synthetic", "folder"])
def test_no_more_than_a_few_samples_are_in_memory(dataset, tmp_path, monkeypatch):
    alive, most = WeakSet(), []

    def watched(sample, job) -> Outcome:
        alive.add(sample)
        most.append(len(alive))
        return noted(sample, job)

    monkeypatch.setattr(command, "process", watched)
    monkeypatch.setattr(command, "build_arrays", lambda root: None)
    source = {"images": linked(tmp_path / "mine", 200)} if dataset == "folder" else {"num_images": 200}
    config = PrepareConfig(dataset=dataset, size=40, output_dir=tmp_path / "out", workers=1, **source)
    prepare(config)
    assert len(most) == 200
    assert max(most) < 20
    assert len(list(read_records(config.output_dir))) == 200


def test_journal_entries_come_in_the_order_of_names_and_the_last_counts(tmp_path):
    config = PrepareConfig(dataset="synthetic", num_images=12, size=40, output_dir=tmp_path / "out")
    source = command.open_source(config)
    samples = sorted(source.samples, key=lambda sample: sample.name, reverse=True)
    job = command.Job(tmp_path, (40, 40), "letterbox", source.classes, source.channels, "refuse")
    with Journal(tmp_path, config.settings()) as journal:
        for sample in samples[:9] + samples[:2]:
            journal.append(noted(sample, job))
    with Journal(tmp_path, config.settings()) as journal:
        assert journal.count_finished(samples) == 9
        assert journal.keep(samples[2:]) == 7
        assert [entry["record"]["name"] for entry in journal.entries()] == sorted(s.name for s in samples[2:9])
        assert sum(journal.counts(split)["images"] for split in manifests.SPLITS) == 7


def test_rows_are_sorted_as_python_sorts_them():
    letters = ["a", "B", "\t", "\x01", "é", "日", "\U0001f600", "\udce9", "\uffff", ""]
    generator = random.Random(1)
    rows = [tuple("".join(generator.choices(letters, k=3)) for _ in range(2)) for _ in range(500)]
    assert list(sorted_rows(iter(rows), 2)) == sorted(rows)


def test_streamed_json_has_the_bytes_of_the_usual(tmp_path):
    items = [{"name": "a\nb", "deep": {"list": [1, [], {}]}}, "text", 3, None]
    content = {"text": "é", "empty": {}, "items": items, "none": [], "nested": {"a": [1, 2]}}
    write_json(tmp_path / "streamed.json", {**content, "items": iter(items), "none": iter([])})
    assert (tmp_path / "streamed.json").read_text() == json.dumps(content, indent=2) + "\n"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "nan.json", {"items": iter([float("nan")])})
    assert not (tmp_path / "nan.json").exists()


@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
@pytest.mark.parametrize("style", [{"indent": 2}, {}, {"separators": (",", ":")}])
def test_records_are_read_whole_wherever_the_text_is_cut(tmp_path, monkeypatch, chunk, style):
    monkeypatch.setattr(streamed, "_CHUNK", chunk)
    images = [{"name": f'] \\" {index}', "tags": {}, "geometry": {"size": index}} for index in range(5)]
    content = head_of(ClassSet(("a", "b")), source={"images": '/a "images": ['})
    text = json.dumps({**content, "images": images}, **style)
    (tmp_path / "manifest.json").write_text(text)
    head = read_manifest(tmp_path)
    assert (head.source, head.fingerprint) == (content["source"], content["fingerprint"])
    assert list(read_records(tmp_path)) == images
    for damaged in (text[:-9], text + "}", text[: text.index("geometry")]):
        (tmp_path / "manifest.json").write_text(damaged)
        with pytest.raises(UserError, match="is damaged"):
            list(read_records(tmp_path))


def test_what_records_have_in_common_is_kept_once(pets):
    train = open_data(pets).split("Train")
    assert len({id(geometry) for geometry in train.geometries}) == len(set(train.geometries)) == 1
    assert len({id(species) for species in train.tags["species"]}) == 2


def test_hash_splits_holds_out_as_one_stratum_does():
    names = [f"picture {number}" for number in range(53)]
    test = held_out(dict.fromkeys(names), 0.2, 7)
    val = held_out({name: None for name in names if name not in test}, 0.3, 7)
    expected = {name: "Test" if name in test else "Val" if name in val else "Train" for name in names}
    assert hash_splits(names, 0.3, 0.2, 7) == expected
