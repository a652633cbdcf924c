"""The fuzzer finds what it is there for, says the same again, and a small share of its cases ends well."""

import json
import os
import signal
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from fuzz import campaign, case, corpus, judge, raw
from fuzz.damage import Damage, damage
from fuzz.judge import Ended
from fuzz.scenes import Scene
from fuzz.targets import TARGETS, Target, case_names

WHOLE = Ended(0, "14 pictures\ndone\n", {"a": 1})


def judged(
    code: int = 0, said: str = "14 pictures\ndone\n", made: object = None, files: tuple[str, ...] = (), **scene
) -> str:
    target = Target("any", lambda place, random: None, strict=True)
    called = Scene("x.y", [], [], Path("made"), **scene)
    ended = Ended(code, said, {"a": 1} if made is None else made, new_files=[*files])
    return judge.judge(target, called, Damage(Path("own/images/cat_1.jpg"), "a bit"), ended, WHOLE).outcome


def test_good_ends():
    assert judged() == judge.FINE
    assert judged(2, "error: x is damaged: copy it anew\n") == judge.REFUSED
    assert judged(made={"a": 2}, said="14 pictures\nnote: x is damaged\ndone\n") == judge.NOTED
    assert judged(1, "error: 1 of 14 files\n", {"a": 2}, codes=(1,)) == judge.NOTED


@pytest.mark.parametrize(
    ("outcome", "ended"),
    [
        ("traceback", {"code": 1, "said": "Traceback (most recent call last):\n"}),
        ("unexpected", {"code": 1, "said": "error: unexpected KeyError: 'x'\n"}),
        ("exit code", {"code": 1, "said": "error: broken\n"}),
        ("no line", {"code": 2, "said": "usage: x\n"}),
        ("no line", {"code": 2, "said": "error: x\nerror: y\n"}),
        ("control signs", {"code": 2, "said": "error: \x1b[31m is no picture\n"}),
        ("left behind", {"code": 2, "said": "error: x\n", "files": ("made/half.png",)}),
        ("left behind", {"files": ("made/.x.json.17.tmp",)}),
        ("silent", {"made": {"a": 2}}),
        # Other numbers in a line are no word about the damage; of pictures only their names are.
        ("silent", {"made": {"a": 2}, "said": "13 pictures\ndone\n"}),
        ("silent", {"made": {"a": 2}, "said": "14 pictures\nnote: something\ndone\n", "pictures": True}),
    ],
)
def test_bad_ends(outcome, ended):
    assert judged(**ended) == outcome


def test_what_any_viewer_shows_is_no_fault(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    picture = tmp_path / "images/cat_1.png"
    scene = Scene("data.prepare", [], [], tmp_path / "made", pictures=True)
    for path, content in ((picture, pixels), (tmp_path / "made/Train/resized/cat_1.png", pixels)):
        path.parent.mkdir(parents=True)
        Image.fromarray(content).save(path)
    assert judge.as_any_viewer(picture, scene, {})
    Image.fromarray(255 - pixels).save(picture)
    assert not judge.as_any_viewer(picture, scene, {})
    picture.write_bytes(picture.read_bytes()[:-200])
    assert not judge.as_any_viewer(picture, scene, {})


def test_damage_is_the_same_for_the_same_number_and_hits_everything(tmp_path):
    names = {
        "a.json": b'{"a": [1, {"b": 2}], "c": "d"}',
        "a.csv": b"file,split\nx,train\n",
        "a.txt": b"x\ny\n",
        "a.yaml": b"a: {b: 1}\n",
    }
    ways = set()
    for name, content in names.items():
        for number in range(80):
            both = []
            for turn in "12":
                path = tmp_path / turn / str(number) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                both.append(damage(path, Random(number)).how)
            assert both[0] == both[1]
            ways.add(both[0])
    assert len(ways) > 100


def test_bytes_are_damaged_within_reason():
    content = bytes(range(256)) * 4
    for number in range(300):
        how, changed = raw.damage_bytes(content, Random(number))
        assert changed != content, how
        assert len(changed) <= 2 * len(content)


def test_cases_are_shared_out_evenly():
    names = case_names(1000, list(TARGETS))
    assert len(set(names)) == len(names) == 1000
    half = {name.split(":")[0] for name in names[:60]}
    assert half == set(TARGETS)


def misbehave(argv: list[str]) -> int:
    """Stand for a command that hangs or crashes."""
    {"hang": lambda: time.sleep(600), "crash": lambda: os.kill(os.getpid(), signal.SIGKILL)}[argv[0]]()
    return 0


@pytest.mark.parametrize(("what", "outcome"), [("hang", "hang"), ("crash", "crash")])
def test_what_hangs_or_crashes_costs_one_case(what, outcome, tmp_path, monkeypatch):
    def start(module, arguments, console):
        from multiprocessing import get_context

        process = get_context("fork").Process(target=misbehave, args=([what],))
        process.start()
        return process

    monkeypatch.setattr(campaign.ready_processes, "start", start)
    (result,) = campaign.run_cases(["weights:1"], tmp_path, tmp_path, 1, seconds=1)
    assert result.verdict.outcome == outcome


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "corpus"
    corpus.make(folder, quick=True)
    return folder


@pytest.fixture
def soon():
    """Fail what hangs."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# These draw figures, which takes long.
DRAWS = ("report", "ablation")


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("target", [pytest.param(name, marks=[pytest.mark.all] * (name in DRAWS)) for name in TARGETS])
def test_a_few_cases_end_well(target, whole, tmp_path):
    for number in range(2):
        name = f"{target}:{number}"
        verdict = case.run(name, tmp_path / f"{number}", whole)
        if verdict.outcome == case.AGAIN:
            verdict = case.run(name, tmp_path / f"{number}_again", whole)
        assert not verdict.is_bad, (name, verdict)


def test_the_table_counts_every_case():
    results = [
        campaign.Result(f"weights:{number}", "a bit", judge.Verdict(outcome))
        for number, outcome in enumerate((judge.FINE, "silent"))
    ]
    assert campaign.table(results).splitlines()[-1].split() == ["all", "2", "0.00", "1", "1"]
    assert json.loads(json.dumps(campaign.content(results)))["bad"][0]["case"] == "weights:1"
