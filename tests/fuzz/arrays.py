"""Damage to weights, states and arrays that are well-formed still."""

import io
import json
import struct
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzz.places import write_anew
from fuzz.trees import VALUES, damage_tree

KEY = "ae_pretrained"


def damage_weights(path: Path, random: Random) -> str:
    """Change the table of tensors, our header, or the numbers of a safetensors file."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    table, data = json.loads(content[8 : 8 + size]), bytearray(content[8 + size :])
    way = random.choice(("table", "header", "header", "header", "numbers", "numbers", "size"))
    if way == "size":
        size = random.choice((0, 1, size - 1, size + 1, 2**40, 2**63, 2**64 - 1))
        write_anew(path, struct.pack("<Q", size) + content[8:])
        return f"its header takes {size} bytes, it says"
    if way == "numbers":
        how = _damage_numbers(table, data, random)
    elif way == "table":
        how = f"table of tensors: {damage_tree(table, random)}"
    else:
        header = json.loads(table["__metadata__"][KEY])
        how = f"header: {damage_tree(header, random)}"
        table["__metadata__"][KEY] = json.dumps(header)
    text = json.dumps(table).encode("utf-8", "surrogatepass")
    write_anew(path, struct.pack("<Q", len(text)) + text + bytes(data))
    return how


def _damage_numbers(table: dict[str, Any], data: bytearray, random: Random) -> str:
    name = random.choice(sorted(name for name in table if name != "__metadata__"))
    start, end = table[name]["data_offsets"]
    numbers = np.frombuffer(bytes(data[start:end]), np.float32).copy()
    way = random.choice(("nan", "inf", "one nan", "zero", "half", "huge", "shuffled", "float16", "int32"))
    if way in ("float16", "int32"):
        table[name]["dtype"] = {"float16": "F16", "int32": "I32"}[way]
        if way == "float16":
            table[name]["shape"] = [*table[name]["shape"], 2]
        return f"{name} as {way}"
    if way in ("nan", "inf", "zero", "huge"):
        numbers[:] = {"nan": np.nan, "inf": np.inf, "zero": 0, "huge": 1e38}[way]
    elif way == "one nan":
        numbers[random.randrange(len(numbers))] = np.nan
    elif way == "half":
        numbers[: (len(numbers) + 1) // 2] = 0
    else:
        numbers = numbers[::-1] + np.float32(0.1)
    data[start:end] = numbers.tobytes()
    return f"{name}: {way}"


def damage_state(path: Path, random: Random) -> str:
    """Change a value or a tensor of a run's state and save it as torch does."""
    import torch

    state = torch.load(path, weights_only=True)
    tensors = (
        *(torch.full((2, 2), torch.nan), torch.zeros(0), torch.zeros(1, dtype=torch.int64), torch.zeros(3, 3, 3, 3)),
        torch.tensor(torch.inf),
    )
    how = damage_tree(state, random, (*VALUES, *tensors))
    saved = io.BytesIO()
    torch.save(state, saved)
    write_anew(path, saved.getvalue())
    return how


def damage_array(path: Path, random: Random) -> str:
    """Write an array of another shape, type or content."""
    array = np.load(path)
    way = random.choice(("rows", "type", "values", "flat", "objects", "empty", "order", "archive", "shifted"))
    saved = io.BytesIO()
    changed: np.ndarray = {
        "rows": lambda: array[:-1],
        "type": lambda: array.astype(random.choice((np.float32, np.int64, np.bool_, np.complex64))),
        "values": lambda: np.full_like(array, random.choice((0, 7, 200, 255))),
        "flat": lambda: array.ravel(),
        "objects": lambda: np.array([{"a": 1}], dtype=object),
        "empty": lambda: array[:0],
        "order": lambda: np.asfortranarray(array),
        "archive": lambda: array,
        "shifted": lambda: np.roll(array, 1, axis=0),
    }[way]()
    if way == "archive":
        np.savez(saved, array=array)
    else:
        np.save(saved, changed, allow_pickle=True)
    write_anew(path, saved.getvalue())
    return f"array with other {way}"
