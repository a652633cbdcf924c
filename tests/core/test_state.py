"""The run state: whole or passed over, whatever was damaged, and never in the place of a whole one."""

import random
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.errors import UserError
from core.run.state import PREVIOUS_STATE, STATE, State, load_state, save_state


def content(step: int, **fields: Any) -> dict[str, Any]:
    """Return a state after so many steps, a row of the log each."""
    rows = [{"epoch": epoch, "val_loss": 0.5, "dice": None} for epoch in range(1, step + 1)]
    known = {"model": {"a": torch.arange(300.0)}, "optimizer": {}, "precision": {}, "step": step, "rows": rows}
    sums = {"totals": {"loss": 1.0}, "collected": 2, "seconds": 0.5}
    return {**known, "sums": sums, "best": {"score": 0.5, "epoch": 1}, "finished": False, **fields}


@pytest.fixture(params=["today", "before"])
def folder(request, tmp_path) -> Path:
    """Return a folder with the states after steps 1 and 2, of today or without a digest."""
    for step in (1, 2):
        save_state(tmp_path, content(step))
    if request.param == "before":
        for name, step in ((PREVIOUS_STATE, 1), (STATE, 2)):
            torch.save({"format_version": 2, **content(step)}, tmp_path / name)
    return tmp_path


def test_the_newest_comes_back(folder):
    state = load_state(folder)
    assert (state.step, state.rows, state.best.score) == (2, content(2)["rows"], 0.5)
    assert (state.sums.totals, state.sums.collected) == ({"loss": 1.0}, 2)
    assert torch.equal(state.model["a"], torch.arange(300.0))
    assert torch.load(folder / STATE, weights_only=True)["step"] == 2  # still a file of torch


def test_every_damage_falls_back_to_the_one_before(folder):
    whole, draw = (folder / STATE).read_bytes(), random.Random(0)
    sealed = whole[-71:].startswith(b"sha256:")
    for number in range(60):
        altered = bytearray(whole)
        # The directory of the archive lies at its end.
        place = draw.randrange(len(whole) - 1200 if number % 2 else 0, len(whole))
        altered[place] ^= 1 << draw.randrange(8)
        (folder / STATE).write_bytes(altered if number % 10 else whole[: place // 2])
        state = load_state(folder)
        if sealed or state.step == 1:
            assert state.step == 1
        else:  # a bit without meaning
            assert torch.equal(state.model["a"], torch.arange(300.0))


def test_a_damaged_state_never_takes_the_place_of_a_whole_one(folder, capsys):
    (folder / STATE).write_bytes((folder / STATE).read_bytes()[:-80])
    load_state(folder)  # by a process that only reads
    assert (folder / STATE).exists()
    assert capsys.readouterr().out == ""
    assert load_state(folder, writes=True).step == 1
    assert "state.ckpt is damaged; going on from state.previous.ckpt" in capsys.readouterr().out
    save_state(folder, content(3))
    (folder / STATE).unlink()  # as if it had been killed before the new one had its name
    assert load_state(folder).step == 1


def test_a_state_that_lost_its_digest_is_passed_over(tmp_path):
    for step in (1, 2):
        save_state(tmp_path, content(step))
    values = torch.load(tmp_path / STATE, weights_only=True)
    torch.save(values, tmp_path / STATE)
    assert load_state(tmp_path).step == 1


def test_states_that_are_all_damaged_stay_and_are_named(folder):
    for name in (STATE, PREVIOUS_STATE):
        (folder / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"state\.ckpt and state\.previous\.ckpt damaged: delete the folder"):
        load_state(folder, writes=True)
    assert (folder / STATE).exists()


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: None} for name in ("model", "optimizer", "precision", "step", "sums", "rows", "finished")),
        *({"step": step} for step in (-1, 1.0, True, "2")),
        *({"best": best} for best in ({"score": float("nan"), "epoch": 1}, {"score": 0.5}, {"score": 0.5, "epoch": 0})),
        *({"rows": rows} for rows in ([1], [{"epoch": "1"}], {"epoch": 1}, [{1: 1.0}])),
        *({"model": model} for model in ({"a": 1.0}, {1: torch.zeros(1)}, torch.zeros(1))),
        *({"finished": finished} for finished in (1, "yes")),
        *({name: kept} for name in ("carried", "average") for kept in (None, {"a": 1.0}, torch.zeros(1))),
    ],
)
def test_a_content_that_no_run_wrote_is_passed_over(tmp_path, wrong):
    save_state(tmp_path, content(1))
    save_state(tmp_path, content(2) | wrong)
    assert load_state(tmp_path).step == 1


@pytest.mark.parametrize(
    ("fields", "total"),
    [
        ({"step": 3, "rows": content(5)["rows"]}, 9),  # rows beyond its step
        ({"step": 9}, 9),  # rows too few
        ({"step": 5}, 4),  # a longer run's
        ({"rows": list(reversed(content(4)["rows"]))}, 9),
        ({"best": {"score": 0.5, "epoch": 7}}, 9),
        ({"patient_since": 9}, 9),
    ],
)
def test_rows_that_this_run_cannot_have_are_refused(tmp_path, fields, total):
    save_state(tmp_path, {**content(4), **fields})
    with pytest.raises(UserError, match="holds a state that is none of this run: step"):
        load_state(tmp_path).require_length(total, 1, tmp_path)


@pytest.mark.parametrize(("step", "rows"), [(0, 0), (1, 0), (4, 0), (4, 1), (5, 1), (10, 2), (10, 3)])
def test_rows_that_a_run_has_on_its_way_pass(tmp_path, step, rows):
    save_state(tmp_path, content(step, rows=content(rows)["rows"], best=None))
    state = load_state(tmp_path)
    assert isinstance(state, State)
    state.require_length(10, 4, tmp_path)


def network(width: int, optimizer_class: type[torch.optim.Optimizer] = torch.optim.SGD) -> SimpleNamespace:
    """Return what of a task a state is loaded into, after a step."""
    model = torch.nn.Linear(width, 1)
    momentum = {"momentum": 0.9} if optimizer_class is torch.optim.SGD else {}
    optimizer = optimizer_class(model.parameters(), lr=0.1, **momentum)
    model(torch.ones(1, width)).sum().backward()
    optimizer.step()
    return SimpleNamespace(model=model, optimizer=optimizer)


def test_a_state_of_another_network_is_refused(tmp_path):
    ours, theirs = network(2), network(3)
    for model, optimizer, message in ((ours, ours, ""), (theirs, ours, "'weight' has shape"), (ours, theirs, "shape")):
        saved = {"model": model.model.state_dict(), "optimizer": optimizer.optimizer.state_dict()}
        save_state(tmp_path, content(1) | saved)
        with pytest.raises(UserError, match=f"the state in .*{message}") if message else nullcontext():
            load_state(tmp_path).load_into(network(2), lambda precision: None, tmp_path)
    save_state(tmp_path, content(1) | {"model": ours.model.state_dict(), "optimizer": {"state": {}}})
    with pytest.raises(UserError, match="does not fit its optimiser.*delete the folder"):
        load_state(tmp_path).load_into(network(2), lambda precision: None, tmp_path)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD])
@pytest.mark.parametrize("damage", [None, float("-inf"), "text", torch.tensor(float("nan")), torch.ones(3), "gone"])
def test_what_an_optimiser_keeps_is_checked_value_by_value(tmp_path, optimizer, damage):
    ours = network(2, optimizer)
    for number, name in [(n, k) for n, kept in ours.optimizer.state_dict()["state"].items() for k in kept]:
        saved = ours.optimizer.state_dict()
        saved["state"][number] = dict(saved["state"][number])
        if isinstance(damage, str) and damage == "gone":
            del saved["state"][number][name]
        else:
            saved["state"][number][name] = damage
        save_state(tmp_path, content(1) | {"model": ours.model.state_dict(), "optimizer": saved})
        begun = damage is None and optimizer is torch.optim.SGD  # what SGD has before its first step
        with nullcontext() if begun else pytest.raises(UserError, match="does not fit its optimiser.*delete"):
            load_state(tmp_path).load_into(network(2, optimizer), lambda precision: None, tmp_path)


def test_the_settings_of_an_optimiser_are_the_tasks(tmp_path):
    ours, task = network(2, torch.optim.AdamW), network(2, torch.optim.AdamW)
    saved = ours.optimizer.state_dict()
    saved["param_groups"][0] |= {"differentiable": [False], "lr": "high", "betas": None}
    save_state(tmp_path, content(1) | {"model": ours.model.state_dict(), "optimizer": saved})
    load_state(tmp_path).load_into(task, lambda precision: None, tmp_path)
    group = task.optimizer.param_groups[0]
    assert (group["differentiable"], group["lr"], group["betas"]) == (False, 0.1, (0.9, 0.999))
    assert set(task.optimizer.state) == set(group["params"])


def test_what_is_no_file_is_damaged(folder):
    (folder / STATE).unlink()
    (folder / STATE).mkdir()
    assert load_state(folder).step == 1
