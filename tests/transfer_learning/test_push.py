"""Weights put on the hub and fetched from it again, against a local stub of the hub's HTTP interface."""

import base64
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_pets import picture

from ae_pretrained import Segmenter
from core.calling import module_called
from core.errors import UserError
from core.filing.hub import fetched, is_on_hub
from core.weights import load_weights
from transfer_learning.evaluate import main as evaluate
from transfer_learning.predict import main as predict
from transfer_learning.push import main as push
from transfer_learning.train import main as train

COMMIT = "a" * 40
FILE = "best_model.safetensors"


class Hub(BaseHTTPRequestHandler):
    """What of the hub's interface an upload of small files and a download take."""

    files: dict[str, bytes]
    asked: list[str]
    refuses: int

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(self.path)
        if self.refuses:
            self._answer(b'{"error": "no"}', self.refuses, Content_Type="application/json")
            return
        host = f"http://{self.headers['Host']}"
        if self.path == "/api/repos/create":
            said = {"url": f"{host}/tom/pets"}
        elif self.path.endswith("/preupload/main"):
            wanted = json.loads(body)["files"]
            said = {"files": [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in wanted]}
        elif self.path.endswith("/commit/main"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            said = {"commitUrl": f"{host}/tom/pets/commit/{COMMIT}", "commitOid": COMMIT, "success": True}
        else:
            said = {"errors": [], "warnings": []}
        self._answer(json.dumps(said).encode(), Content_Type="application/json")

    def do_GET(self) -> None:
        self.asked.append(self.path)
        found = re.fullmatch(r"/tom/pets/resolve/(main|v1)/(.+)", self.path)
        if not found or found[2] not in self.files:
            code = "EntryNotFound" if found else "RepoNotFound"
            self._answer(b"", 404, X_Error_Code=code)
            return
        self._answer(self.files[found[2]], ETag=f'"{hash(self.files[found[2]])}"', X_Repo_Commit=COMMIT)

    def do_HEAD(self) -> None:
        self.do_GET()


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[type[Hub]]:
    kind = type("OneHub", (Hub,), {"files": {}, "asked": [], "refuses": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    # A server that fails is asked again and again; the waits are not what is tested.
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    yield kind
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pets) -> Path:
    folder = tmp_path_factory.mktemp("pushed")
    small = ["--width", "2", "--batch_size", "4", "--max_steps", "1", "--val_every", "1", "--device", "cpu"]
    assert train([*small, "--data_dir", str(pets), "--output_dir", str(folder / "run")]) == 0
    weights = ["--model_path", str(folder / "run" / FILE), "--data_dir", str(pets), "--no_figures"]
    assert evaluate([*weights, "--output_dir", str(folder / "run/results")]) == 0
    return folder / "run"


def words(run: Path, *more: str) -> list[str]:
    about = ["--data", "drawn pets", "--data_licence", "CC0"]
    return ["tom/pets", "--model_path", str(run / FILE), "--results", str(run / "results"), *about, *more]


def test_weights_go_up_with_a_card_and_come_down_the_same(hub, trained, tmp_path, capsys):
    assert push(words(trained)) == 0
    assert (
        "uploaded best_model.safetensors, config.json, README.md, evaluation_results.json to" in capsys.readouterr().out
    )
    assert hub.files[FILE] == (trained / FILE).read_bytes()
    card = hub.files["README.md"].decode()
    scores = json.loads(hub.files["evaluation_results.json"])
    assert "drawn pets (CC0)" in card
    low, high = scores["intervals"]["mean_iou"]
    assert f"| mean IoU | {scores['mean_iou']:.3f} | {low:.3f} to {high:.3f} |" in card
    assert 'Segmenter.from_pretrained("tom/pets")' in card
    assert json.loads(hub.files["config.json"])["phase"] == "transfer_learning"
    photo = tmp_path / "photo.png"
    Image.fromarray(picture(0, 50, 60)).save(photo)
    mask, _ = Segmenter.from_pretrained("tom/pets", device="cpu")(photo)
    np.testing.assert_array_equal(mask, Segmenter.load(trained / FILE, device="cpu")(photo)[0])
    told = ["--input", str(photo), "--output_dir", str(tmp_path / "out"), "--no_figures", "--device", "cpu"]
    assert predict(["--model_path", "hf://tom/pets", *told]) == 0
    flags = ["--model_path", "hf://tom/pets", "--split", "Val"]
    assert module_called("evaluate", flags) == "transfer_learning.evaluate"
    # What did not change is not fetched again: one look at what it is.
    before = len(hub.asked)
    again = fetched("hf://tom/pets")
    assert len(hub.asked) == before + 1
    assert load_weights(again)[1] == load_weights(trained / FILE)[1]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("hf://tom/dogs", "hf://tom/dogs is not there, or not for you"),
        ("hf://tom/pets", f"hf://tom/pets holds no {FILE}: it is no repository that"),
        ("hf://tom", "^hf://tom is not written as hf://USER/NAME"),
        (Path("hf://tom"), "^hf://tom is not written as hf://USER/NAME"),
        ("hf://tom/pets/more", "is not written as hf://USER/NAME"),
    ],
)
def test_what_is_not_there_is_said(hub, place, message):
    with pytest.raises(UserError, match=message):
        fetched(place)


@pytest.mark.parametrize("wrong", ["refused", "no_name", "offline"])
def test_a_hub_out_of_reach_is_asked_once_and_told_in_a_line(wrong, hub, tmp_path, monkeypatch, capfd):
    if wrong == "offline":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    else:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            host = f"127.0.0.1:{closed.getsockname()[1]}" if wrong == "refused" else "nobody.invalid"
        monkeypatch.setenv("HF_ENDPOINT", f"http://{host}")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: pytest.fail("it waits to ask again"))
    assert predict(["--model_path", "hf://tom/pets", "--input", str(tmp_path), "--output_dir", str(tmp_path)]) == 2
    reason = "is not in the cache, and the hub cannot be reached: see the network"
    assert capfd.readouterr() == ("", f"error: hf://tom/pets {reason}\n")


def test_a_hub_that_nobody_reaches_is_said_to_who_pushes(hub, trained, monkeypatch, capsys):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert push(words(trained)) == 1
    error = capsys.readouterr().err
    assert "error: the hub cannot be reached (" in error
    assert error.rstrip().endswith("): the same command begins anew")


def test_what_is_in_the_cache_is_taken_where_the_hub_is_out_of_reach(hub, monkeypatch, capfd):
    hub.files[FILE] = b"weights"
    there = fetched("hf://tom/pets")
    monkeypatch.setenv("HF_ENDPOINT", "http://nobody.invalid")
    assert fetched("hf://tom/pets") == there
    assert there.read_bytes() == b"weights"
    with pytest.raises(UserError, match="cannot be reached"):
        fetched("hf://tom/pets@v1")
    assert "Retrying" not in capfd.readouterr().err


def test_a_path_is_one_of_the_hub_however_many_slashes_are_left():
    assert is_on_hub(Path("hf://tom/pets"))
    assert not is_on_hub(Path("hf/tom/pets"))
    assert not is_on_hub(None)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [(401, 2, "tom/pets: the hub does not let you write there"), (500, 1, "tom/pets: the hub refused it")],
)
def test_a_hub_that_refuses_is_said(hub, trained, capsys, status, code, message):
    hub.refuses = status
    assert push(words(trained)) == code
    error = capsys.readouterr().err
    assert message in error
    assert not hub.files


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tom/pets": "pets"}, "name the repository: ae-pretrained push USER/NAME"),
        ({"drawn pets": " "}, "say what they were trained on|--data is empty"),
        ({"CC0": ""}, "--data_licence is empty"),
    ],
)
def test_what_lacks_is_asked_for(trained, capsys, change, message):
    assert push([change.get(word, word) for word in words(trained)]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_scores_of_other_weights_and_what_is_no_picture_are_refused(trained, tmp_path, capsys):
    other = json.loads((trained / "results/evaluation_results.json").read_text())
    other["provenance"]["checkpoint_sha256"] = "0" * 64
    (tmp_path / "evaluation_results.json").write_text(json.dumps(other))
    assert push([*words(trained)[:3], "--results", str(tmp_path), "--data", "d", "--data_licence", "l"]) == 2
    assert "is of other weights than these" in capsys.readouterr().err
    assert push(words(trained, "--picture", str(tmp_path / "evaluation_results.json"))) == 2
    assert "--picture" in capsys.readouterr().err


def test_what_would_go_up_can_be_looked_at_first(trained, tmp_path, capsys):
    assert push(words(trained, "--folder", str(tmp_path / "look"))) == 0
    assert "nothing uploaded" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "look").iterdir()}
    assert names == {FILE, "config.json", "README.md", "evaluation_results.json"}


def test_nothing_that_is_there_is_replaced(trained, tmp_path, capsys):
    own = tmp_path / "own"
    own.mkdir()
    assert push(words(trained, "--folder", str(own))) == 0
    (own / "README.md").write_text("mine")
    (file := tmp_path / "file").write_text("mine too")
    for folder in (own, file):
        assert push(words(trained, "--folder", str(folder))) == 2
        assert f"{folder} is there and no empty folder: choose another --folder" in capsys.readouterr().err
    assert (own / "README.md").read_text() == "mine"
    assert file.read_text() == "mine too"


@pytest.mark.parametrize("name", ["cells", "me/ce lls", "a/b/c", "me/"])
def test_a_name_that_the_hub_cannot_have_is_refused_for_a_folder_too(trained, tmp_path, capsys, name):
    assert push([name, *words(trained, "--folder", str(tmp_path / "look"))[1:]]) == 2
    assert "name the repository: ae-pretrained push USER/NAME" in capsys.readouterr().err
    assert not (tmp_path / "look").exists()
