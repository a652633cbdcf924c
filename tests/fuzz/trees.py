"""Damage to trees of values: JSON, YAML, and what other files hold as such."""

import json
from pathlib import Path
from random import Random
from typing import Any

import yaml

from fuzz.places import write_anew

MISSING = object()
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10**30, -(10**30), 0.5, 1e308, -0.0, float("nan"), float("inf"), -float("inf")),
    *(
        "",
        " ",
        "nan",
        "1",
        "x",
        "a" * 3000,
        "../../x",
        "/etc/passwd",
        "\x1b[31mred",
        "a\nb",
        "\u202e",
        "é",
        "~",
        "$HOME",
        "{}",
    ),
    *([], {}, [[]], [None], [1, 2, 3, 4], {"a": 1}, {"": None}, ["a", "a"]),
)


def places_in(tree: Any) -> list[tuple[Any, Any]]:
    """Return every place of a tree as a container and a key of it."""
    found: list[tuple[Any, Any]] = []
    todo = [tree]
    while todo:
        container = todo.pop()
        keys = list(container) if isinstance(container, dict) else range(len(container))
        for key in keys:
            found.append((container, key))
            if isinstance(container[key], dict | list):
                todo.append(container[key])
    return found


def damage_tree(tree: dict[Any, Any], random: Random, values: tuple[Any, ...] = VALUES) -> str:
    """Change one place of a tree; returns what was done."""
    places = places_in(tree)
    # Shallow places are few and say most; a list of pictures would draw nearly all of the damage.
    container, key = random.choice(places_in_first(places, random))
    way = random.choice(("value", "value", "value", "removed", "renamed", "type", "sign", "listed", "swapped", "more"))
    before = repr(container[key])[:40]
    if way == "removed":
        del container[key]
        return f"{key!r} removed"
    if way == "renamed" and isinstance(container, dict):
        new = random.choice((f"{key}x", "", "x" * 300, "\x1b[2J", str(key).upper(), f" {key}"))
        container[new] = container.pop(key)
        return f"{key!r} renamed to {new[:40]!r}"
    if way == "more" and isinstance(container, dict):
        container["unknown"] = random.choice(values)
        return f"'unknown' added beside {key!r}"
    container[key] = _replacement(container, key, way, random, values)
    return f"{key!r} from {before} to {repr(container[key])[:60]}"


def places_in_first(places: list[tuple[Any, Any]], random: Random) -> list[tuple[Any, Any]]:
    """Return the places, every other time those near the root alone."""
    return places[: max(1, len(places) // 8)] if random.random() < 0.3 else places


def _replacement(container: Any, key: Any, way: str, random: Random, values: tuple[Any, ...]) -> Any:
    value = container[key]
    if way == "type":
        return [value] if isinstance(value, dict) else list(value) if isinstance(value, tuple) else str(value)
    if way == "sign" and isinstance(value, int | float):
        return random.choice((-value, value + 1, value * 1e6, float(value)))
    if way == "listed":
        return [value, value]
    if way == "swapped":
        keys = list(container) if isinstance(container, dict) else range(len(container))
        return container[random.choice(list(keys))]
    return random.choice(values)


def damage_json(path: Path, random: Random) -> str:
    """Change what a JSON file holds, or its text as no writer of JSON would."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    way = random.choice(("tree",) * 8 + ("deep", "root", "key twice"))
    if way == "deep":
        write_anew(path, b'{"a":' * 3000 + b"1" + b"}" * 3000)
        return "3000 levels deep"
    if way == "root":
        tree = random.choice(VALUES)
        how = f"holds {repr(tree)[:40]} alone"
    elif way == "key twice" and isinstance(tree, dict):
        key = random.choice(list(tree))
        value = json.dumps(random.choice(VALUES))
        text = json.dumps(tree)
        write_anew(path, (text[:-1] + f", {json.dumps(key)}: {value}}}").encode("utf-8", "surrogatepass"))
        return f"{key!r} again, as {value[:40]}"
    else:
        how = damage_tree(tree, random)
    write_anew(path, json.dumps(tree, indent=2).encode("utf-8", "surrogatepass"))
    return how


YAML_LINES = (
    *(
        "a: &a [*a]",
        "b: !!python/object/apply:os.system ['touch x']",
        "? [1, 2]\n: 3",
        "- 1",
        "x: |",
        "x: 'y",
        "%YAML 9.9",
        "---\na: 1",
    ),
    *(
        "a: *b",
        "'': 1",
        "1: 2",
        "null: 1",
        "2024-01-01: 1",
        "x: 0o17",
        "x: 1_000",
        "x: 12:30:45",
        "<<: {a: 1}",
        "\tx: 1",
        "data: [",
        "{",
    ),
)


def damage_yaml(path: Path, random: Random) -> str:
    """Change what a YAML file holds, or add lines that are odd."""
    text = path.read_text(encoding="utf-8")
    if random.random() < 0.25:
        lines = text.split("\n")
        line = random.choice(YAML_LINES)
        place = random.randrange(len(lines) + 1)
        inside = "  " * random.randrange(3)
        write_anew(path, "\n".join([*lines[:place], inside + line, *lines[place:]]).encode())
        return f"{inside + line!r} before line {place + 1}"
    tree = yaml.safe_load(text)
    if random.random() < 0.1:
        bombs = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
        write_anew(path, bombs.encode())
        return "a billion laughs"
    how = damage_tree(tree, random)
    write_anew(path, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass"))
    return how
