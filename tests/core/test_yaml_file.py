"""The one reader of YAML: what plain text means, and what is refused in one line."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.filing.yaml_file import read_yaml, yaml_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1e-3", 0.001), ("1E+2", 100.0), (".5", 0.5), ("-1.", -1.0), ("010", 10), ("0x1F", 31), ("0o17", 15)),
        *((word, word) for word in ("on", "off", "yes", "no", "y", "12:30", "2024-13-45", ".e1", "1_0x", "~/x")),
        *((word, value) for value in (True, False) for word in (str(value), str(value).lower(), str(value).upper())),
        *(("~", None), ("null", None), ("", None), ("'1e-3'", "1e-3"), ("-.inf", float("-inf"))),
    ],
)
def test_what_is_written_is_what_is_meant(tmp_path, text, value):
    path = tmp_path / "a.yaml"
    path.write_bytes(f"\ufeffa: {text}\r\nb: [{text}]\r\n".encode())
    content = read_yaml(path)
    assert content == {"a": value, "b": [value] if text else []}
    assert type(content["a"]) is type(value)


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
PLAIN_TEXTS = ("1e-3", "off", "Yes", "010", "0o17", "12:30", "~", "", "<<", "- a", "a: b", "2024-01-02", ".inf", "=")


@given(
    st.recursive(VALUES | st.sampled_from(PLAIN_TEXTS), lambda some: st.lists(some) | st.dictionaries(st.text(), some))
)
def test_what_is_written_reads_back(content):
    with TemporaryDirectory() as folder:
        (path := Path(folder, "a.yaml")).write_text(text := yaml_text({"a": content}), encoding="utf-8", newline="")
        assert repr(read_yaml(path)) == repr({"a": content})
    assert repr(yaml.safe_load(text)) == repr({"a": content})  # by the rules of 1.1 too


# Ten times the line before in each: a thousand million values in ten lines.
BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "c stands twice, in line 3 and line 5: keep one"),
        ("1: a\n1.0: b\n", "1.0 stands twice"),
        ("a: [1\n", "not valid YAML: line 2:"),
        ("\ta: 1\n", "not valid YAML: line 1:"),
        ("a: 1\n---\nb: 1\n", "another document"),
        ("? [1]\n: 2\n", "unhashable key"),
        ("a: !!python/object:os.system x\n", "could not determine a constructor"),
        *((f"a: !!{tag} x\n", "not valid YAML") for tag in ("int", "float", "bool", "timestamp", "binary", "omap")),
        (f"a: {'9' * 5000}\n", "not valid YAML"),
        ("[" * 5000, "nested too deeply"),
        ("a: \0\n", "not valid YAML"),
        (BOMB, "more than 100,000 values, as its aliases"),
        ("a: &a [*a]\n", "more than 100,000 values"),
        ("a: &a {b: *a}\n", "more than 100,000 values"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(tmp_path, text, message):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_merged_in_may_be_replaced(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &a {lr: 1, width: 2}\nb: {<<: *a, lr: 3}\n")
    assert read_yaml(tmp_path / "a.yaml")["b"] == {"lr": 3, "width": 2}


def test_what_is_no_text_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "utf16").write_bytes("a: \u00e9".encode("utf-16"))
    for name, message in (("pipe", "not a regular file"), (".", "not a regular file"), ("utf16", "save it as UTF-8")):
        with pytest.raises(UserError, match=message):
            read_yaml(tmp_path / name)


def test_a_number_without_end_is_told_with_its_line(tmp_path):
    (tmp_path / "a.yaml").write_text(f"lr: 1\nseed: {'9' * 5000}\n")
    with pytest.raises(UserError, match=r"a\.yaml is not valid YAML: line 2 holds a number of 5000 digits: correct it"):
        read_yaml(tmp_path / "a.yaml")
