"""YAML files: every one of the project is read here, by the rules of YAML 1.2, and what it writes reads back by them.

By those of 1.1, which PyYAML follows, `on`, `off`, `yes` and `no` are true or false, `1e-3` is text, `010` is 8 and
`12:30` is 750; and of a name that stands twice the last one wins without a word.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError
from core.filing.text_file import read_text

LONGEST_NUMBER = 100  # digits; Python reads no more than 4,300
MOST_VALUES = 100_000  # as aliases repeat them: a few lines can stand for any number
UNBROKEN = 10**6  # characters of a line
MERGE = "tag:yaml.org,2002:merge"
_BREAKS = re.compile("[\n\r\x85\u2028\u2029]")
# What text without quotes means (YAML 1.2, the core schema), and with which characters it begins.
_PLAIN = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        [*"-+.0123456789"],
    ),
    ("merge", r"<<", ["<"]),
)


def read_yaml(path: Path) -> Any:
    """Return the plain values that a YAML file holds, None for an empty one.

    Raises:
        FileNotFoundError: for the caller to say what the file should be.
        UserError: no regular file, not UTF-8, not YAML (with the line), a name stands twice (with both lines), or
            more than `MOST_VALUES`, of which there is no end where something holds itself.
    """
    try:
        text = read_text(path)
    except UnicodeDecodeError:
        raise UserError(f"{path} is not valid YAML: its text is not UTF-8: save it as UTF-8") from None
    try:
        content = yaml.load(text, _Loader)
        _require_few(content)
        return content
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except RecursionError:
        raise UserError(f"{path} is not valid YAML: nested too deeply") from None
    # What a tag promises and the text does not keep (!!int x) fails in as many ways as there are tags.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is not valid YAML: {_problem(error)}") from None


def _require_few(content: Any) -> None:
    left, rest = MOST_VALUES, [content]
    while rest:
        value = rest.pop()
        left -= 1
        if left < 0:
            raise UserError(f"holds more than {MOST_VALUES:,} values, as its aliases (*name) repeat them: write it out")
        if isinstance(value, dict | list):
            rest += [*value, *value.values()] if isinstance(value, dict) else value


def _problem(error: Exception) -> str:
    """Return what is wrong on one line, with the line of the file where that is known."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark and error.problem:
        return f"line {error.problem_mark.line + 1}: {' '.join(error.problem.split())}"
    return " ".join(str(error).split())


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own name

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = [key for key, _ in node.value if key.tag != MERGE]  # what is merged in may be replaced
        content = super().construct_mapping(node, deep)
        lines: dict[Any, int] = {}
        for key in own:
            name, line = self.construct_object(key, deep=True), key.start_mark.line + 1
            if name in lines:
                raise UserError(f"{name} stands twice, in line {lines[name]} and line {line}: keep one of them")
            lines[name] = line
        return content

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node)
        if len(text) > LONGEST_NUMBER:
            raise ValueError(f"line {node.start_mark.line + 1} holds a number of {len(text)} digits: correct it")
        return int(text, 0 if text.startswith(("0o", "0x")) else 10)


for _kind, _form, _begins in _PLAIN:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_form})\\Z"), _begins)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def yaml_text(content: Any) -> str:
    """Return plain values as YAML that means the same by the rules of 1.1 and of 1.2, lists on one line."""
    return yaml.dump(
        content, Dumper=_Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True, width=UNBROKEN
    )


class _Dumper(yaml.SafeDumper):
    # Words that either version takes for something else get quotes.
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name
        begin: [
            *yaml.SafeDumper.yaml_implicit_resolvers.get(begin, []),
            *_Loader.yaml_implicit_resolvers.get(begin, []),
        ]
        for begin in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    list, lambda dumper, values: dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)
)
# PyYAML breaks lines at these, and reads some of them back as others; within double quotes it spells them out.
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if _BREAKS.search(text) else None
    ),
)
