"""Reading JSON: whatever a file holds, there is its content or one error that names it."""

import json

import pytest

from core.errors import UserError
from core.filing.json_file import DEEPEST, NotJSONError, parse_json, read_json
from core.filing.writing import files_named
from core.run.folder import RunFolder
from data.manifest import read_manifest, read_records
from data.prepared.arrays import _seal_of
from data.preparing.place import _settings_of
from data.sources.own.dividing.splits import read_splits
from experiments.evaluations import read_json as read_result

BAD = {
    "nested without end": b"[" * 100_000,
    "objects without end": b'{"a":' * 100_000,
    "deep, but not for Python": b"[" * (DEEPEST + 50) + b"]" * (DEEPEST + 50),
    "a huge integer": b'{"format_version": ' + b"9" * 5000 + b"}",
    "NaN": b'{"mean_iou": NaN}',
    "Infinity": b"[1, -Infinity]",
    "larger than any number": b'{"mean_iou": -1e999}',
    "a name twice": b'{"train": ["a"], "train": ["b"]}',
    "a name twice, deeper": b'{"a": [{"b": 1, "\\u0062": 2}]}',
    "cut": b'{"a": [1, 2',
    "empty": b"",
    "two": b"{} {}",
    "no text": b"\xff\xfe\xfa\x00\x81\x93",
    "zeros": bytes(64),
    "Latin-1": '{"name": "M\u00fcnster"}'.encode("latin-1"),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_what_is_no_json_is_told_on_one_line_that_names_the_file(tmp_path, content):
    path = tmp_path / "told.json"
    path.write_bytes(content)
    with pytest.raises(NotJSONError, match=r"told\.json is no JSON \(.+\)") as raised:
        read_json(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_editors_may_save_in_any_form_of_unicode(tmp_path, encoding):
    path = tmp_path / "splits.json"
    path.write_bytes('{"train": ["M\u00fcnster"]}'.encode(encoding))
    assert read_json(path) == {"train": ["M\u00fcnster"]}


def test_what_nests_as_ours_does_is_read():
    deep = "[" * DEEPEST + "]" * DEEPEST
    assert parse_json(deep, "here") == json.loads(deep)
    content = {"a": {"b": [1, 2.5, None]}, "c": "\u00fc"}
    assert parse_json(json.dumps(content), "here") == content
    assert parse_json("3", "here") == 3


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_whoever_reads_json_refuses_it_or_goes_without(tmp_path, content):
    for name in ("manifest.json", "training_config.json", "settings.json", "a.json"):
        (tmp_path / name).write_bytes(content)
    for read in (read_manifest, lambda folder: RunFolder(folder, {"identity": {}}, [])):
        with pytest.raises(UserError):
            read(tmp_path)
    for read in (read_result, lambda path: read_splits(path, ["a"], lambda name: name)):
        with pytest.raises(UserError, match=r"a\.json"):
            read(tmp_path / "a.json")
    assert files_named(tmp_path / "a.json") == []
    assert _seal_of(tmp_path / "a.npy") == {}
    assert _settings_of(tmp_path) is None


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"[" * 100_000, ""),
        (b'{"name": ' + b"9" * 5000 + b"}", ""),
        (b'{"name": "a", "split": "Train", "name": "b"}', r" \('name' stands twice"),
        (b'{"geometry": {"top": NaN}}', r" \(NaN is no number"),
    ],
)
def test_records_of_a_manifest_may_be_bad_too(tmp_path, bad, why):
    (tmp_path / "manifest.json").write_bytes(b'{"format_version": 2, "images": [' + bad + b"]}")
    with pytest.raises(UserError, match=f"is damaged{why}"):
        list(read_records(tmp_path))


def test_a_name_that_stands_twice_is_told_by_whoever_reads_it(tmp_path):
    (tmp_path / "manifest.json").write_text('{"format_version": 2, "seed": 1, "seed": 2, "images": []}')
    with pytest.raises(UserError, match=r"manifest\.json is damaged \('seed' stands twice.*\): delete"):
        read_manifest(tmp_path)
    (tmp_path / "training_config.json").write_text('{"identity": {"seed": 1, "seed": 2}}')
    with pytest.raises(UserError, match=r"training_config\.json"):
        RunFolder(tmp_path, {"identity": {}}, [])
    (tmp_path / "a.json").write_text('{"mean_iou": 0.1, "mean_iou": 0.9}')
    for read in (read_result, lambda path: read_splits(path, ["a"], lambda name: name)):
        with pytest.raises(UserError, match=r"a\.json .*'mean_iou' stands twice"):
            read(tmp_path / "a.json")
