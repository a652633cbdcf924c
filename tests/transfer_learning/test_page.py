"""What the page of `ae-pretrained app` finds, shows and packs, without a browser; and how the command refuses."""

import csv
import io
import json
import socket
import threading
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
from sample_pets import picture
from sample_weights import PETS, write_weights

from core.classes import ClassSet
from core.errors import UserError
from data.augment.batch import plain
from data.geometry import fit
from data.pictures import read_mask
from transfer_learning.app import main as app
from transfer_learning.app_config import AppConfig
from transfer_learning.inference.files import overlay
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.page.downloads import FORMATS, pack
from transfer_learning.page.markup import introduction, of_picture, unread
from transfer_learning.page.networks import Networks
from transfer_learning.page.serving import environment, opened
from transfer_learning.predict import main as predict

HOSTILE = "<img src=x onerror=alert(1)> {{1}} ${1}"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return write_weights(tmp_path_factory.mktemp("one") / "best_model.safetensors", 3)


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Path:
    return write_weights(tmp_path_factory.mktemp("two") / "best_model.safetensors", 4, size=48)


@pytest.fixture(scope="module")
def networks(weights) -> Networks:
    return Networks.load(AppConfig(model_path=weights, device="cpu"))


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "tom.png"
    Image.fromarray(picture(1, 90, 130)).save(path)
    return path


def test_mask_overlay_and_areas_are_those_of_segmenter(networks, weights, photo, tmp_path):
    answer = networks.look([photo], tmp_path / "results")
    (found,) = answer.results[0].found
    mask, confidence = Segmenter.load(weights, device="cpu")(photo)
    assert len(np.unique(mask)) > 1, "a mask of one class would not show a mistake"
    np.testing.assert_array_equal(found.labels(), mask)
    seen = cv2.cvtColor(cv2.imread(str(found.overlay)), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(seen, overlay(picture(1, 90, 130), mask, PETS))
    for c, name in enumerate(PETS.names):
        values = found.record["classes"][name]
        assert values["pixels"] == (mask == c).sum()
        assert values["share"] == pytest.approx((mask == c).mean())
        expected = confidence[mask == c].mean() if (mask == c).any() else None
        assert values["confidence"] == (expected and pytest.approx(expected, abs=1e-5))
    assert answer.alike == [None]


def test_heat_is_what_the_library_grad_cam_finds_at_the_deepest_features(networks, weights):
    looker, image = networks.lookers[0], picture(2, 30, 60)
    (seen,) = looker.segmenter.see([image])
    found = {c for c in np.unique(seen.views[0][1].argmax(0)) if c}
    assert found, "the test needs a class beside the background"
    heats = looker.activations(image, sorted(map(int, found)))["gradcam"]
    model, place = looker.segmenter.model, fit(30, 60, 40, 40, "letterbox")
    batch = plain(torch.from_numpy(place.image(image)[None]), torch.tensor([place.rectangle]), None)
    with torch.no_grad():
        said = model(batch.input, batch.content).argmax(1)[0]

    class OfImages(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = Segmenter.load(weights, device="cpu").model

        def forward(self, images):
            return self.network(images, batch.content)

    of_images = OfImages()
    layer = of_images.network.encoder.deepest
    layer.register_forward_hook(lambda module, inputs, output: output.clone())  # LeakyReLU changes it in place
    for c, heat in heats.items():
        region = ((said == c) & batch.content[0, 0]).float().numpy()
        target = SemanticSegmentationTarget(c, region)
        (reference,) = GradCAM(of_images, [layer])(batch.input.clone(), [target])
        assert heat.shape == (30, 60)
        assert heat.max() > 0
        np.testing.assert_allclose(heat, place.restore_scores(reference[None])[0], atol=1e-4)


def test_a_picture_gives_a_page_and_a_zip_as_predict_writes_it(networks, weights, photo, tmp_path):
    answer = networks.look([photo], tmp_path / "results")
    path = pack(answer, ["masks", "overlays", "tables"], tmp_path / "zip/segmentation.zip")
    assert predict(["--model_path", str(weights), "--input", str(photo), "--output_dir", str(tmp_path / "said")]) == 0
    with ZipFile(path) as packed:
        names = sorted(packed.namelist())
        assert names == ["masks/tom.png", "overlays/tom.png", "predictions.csv", "predictions.json"]
        for name in names[:2]:
            assert packed.read(name) == (tmp_path / "said" / name).read_bytes()
        said, ours = (tmp_path / "said/predictions.json").read_text(), packed.read("predictions.json")
        rows = list(csv.DictReader(io.StringIO(packed.read("predictions.csv").decode())))
    said, ours = json.loads(said), json.loads(ours)
    said["pictures"][0].pop("figure")
    assert ours["pictures"] == said["pictures"]
    assert {key: ours[key] for key in ("total", "settings", "class_set", "unreadable")} == {
        key: said[key] for key in ("total", "settings", "class_set", "unreadable")
    }
    assert ours["provenance"] == said["provenance"]
    assert [row["file"] for row in rows] == ["tom.png"]
    html = of_picture(answer, 0)
    assert html.count("<img ") == 3 + len(answer.results[0].found[0].speaks)
    assert html.count("data:image/png;base64,") == html.count("<img ")
    assert "130 × 90 px" in html


def test_a_zip_holds_annotations_as_predict_writes_them(networks, weights, photo, tmp_path):
    formats = ("coco", "labelme", "label_studio", "yolo")
    assert set(formats) < set(FORMATS)
    answer = networks.look([photo], tmp_path / "results")
    words = ["--model_path", str(weights), "--input", str(photo), "--output_dir", str(tmp_path / "said")]
    assert predict([*words, "--no_figures", "--write", ",".join(formats)]) == 0
    with ZipFile(pack(answer, formats, tmp_path / "zip/a.zip")) as packed:
        found = {name: packed.read(name) for name in packed.namelist()}
    said = {str(path.relative_to(tmp_path / "said")): path for path in (tmp_path / "said").rglob("*") if path.is_file()}
    assert found.keys() == {name for name in said if not name.startswith(("masks/", "predictions."))}
    for name, content in found.items():
        ours, theirs = (_without_places(text) for text in (content.decode(), said[name].read_text()))
        assert ours == theirs, name


def _without_places(text: str) -> str:
    """Leave out where the picture lies, which the page does not know."""
    return "\n".join(line for line in text.splitlines() if "imagePath" not in line and "local-files" not in line)


def test_a_zip_holds_what_was_chosen_of_several_files_of_one_name(networks, photo, tmp_path):
    (tmp_path / "b").mkdir()
    twin = tmp_path / "b/tom.png"
    Image.fromarray(picture(2, 50, 40)).save(twin)
    answer = networks.look([photo, twin], tmp_path / "results")
    assert answer.names == ["tom.png", "tom-2.png"]
    with ZipFile(pack(answer, ["masks"], tmp_path / "zip/a.zip")) as packed:
        assert packed.namelist() == ["masks/tom-2.png", "masks/tom.png"]
        (tmp_path / "second.png").write_bytes(packed.read("masks/tom-2.png"))
    assert read_mask(tmp_path / "second.png").shape == (50, 40)
    with ZipFile(pack(answer, ["tables"], tmp_path / "zip/b.zip")) as packed:
        assert "mask" not in json.loads(packed.read("predictions.json"))["pictures"][0], "it names what is not there"


@pytest.mark.parametrize("wrong", ["text", "empty", "page", "large", "cut"])
def test_a_wrong_file_is_refused_in_the_words_of_predict(wrong, networks, weights, photo, tmp_path, capsys):
    path = tmp_path / "wrong/wrong.png"
    path.parent.mkdir()
    contents = {"text": b"no picture at all", "empty": b"", "page": b"<!doctype html>"}
    if wrong == "large":
        Image.new("1", (10_000, 9_000)).save(path)
        assert path.stat().st_size < 100_000
    else:
        path.write_bytes(contents.get(wrong) if wrong in contents else photo.read_bytes()[:2000])
    answer = networks.look([path, photo], tmp_path / "results")
    assert answer.names == ["tom.png"]
    to = ["--output_dir", str(tmp_path / "said"), "--no_figures"]
    predict(["--model_path", str(weights), "--input", str(path), str(photo), *to])
    said = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("not read: "))
    ((name, reason),) = answer.unread
    assert said == f"not read: wrong/{name}: {reason}"
    assert reason in unread(answer) or "&" in unread(answer)


def test_nothing_that_can_be_read_is_an_answer_too(networks, tmp_path):
    (tmp_path / "notes.png").write_text("text")
    answer = networks.look([tmp_path / "notes.png"], tmp_path / "results")
    assert answer.names == []
    assert "not read: notes.png: not a picture" in unread(answer)
    with pytest.raises(UserError, match="drop a picture first"):
        networks.look([], tmp_path)


def test_two_networks_side_by_side(weights, others, photo, tmp_path):
    both = Networks.load(AppConfig(model_path=weights, compare_with=others, device="cpu"))
    answer = both.look([photo], tmp_path / "results")
    masks = [Segmenter.load(path, device="cpu")(photo)[0] for path in (weights, others)]
    assert (masks[0] != masks[1]).any()
    assert answer.alike == [pytest.approx((masks[0] == masks[1]).mean())]
    for results, mask in zip(answer.results, masks, strict=True):
        np.testing.assert_array_equal(results.found[0].labels(), mask)
    html = of_picture(answer, 0)
    assert html.count('<section class="network">') == 2
    assert f"agree on {answer.alike[0]:.1%}" in html
    with ZipFile(pack(answer, ["masks"], tmp_path / "zip/a.zip")) as packed:
        assert packed.namelist() == ["network_1/masks/tom.png", "network_2/masks/tom.png"]


def test_networks_of_other_classes_stand_beside_each_other_without_a_number(weights, photo, tmp_path):
    foreign = write_weights(tmp_path / "best_model.safetensors", 5, classes=ClassSet(("sky", "road"), background=None))
    both = Networks.load(AppConfig(model_path=weights, compare_with=foreign, device="cpu"))
    answer = both.look([photo], tmp_path / "results")
    assert answer.alike == [None]
    assert "agree" not in of_picture(answer, 0)


def test_names_from_outside_are_text(photo, tmp_path):
    path = write_weights(tmp_path / "best_model.safetensors", 6, classes=ClassSet(("background", HOSTILE)))
    hostile = photo.rename(tmp_path / "<b>&.png")
    networks = Networks.load(AppConfig(model_path=path, device="cpu"))
    answer = networks.look([hostile], tmp_path / "results")
    for html in (of_picture(answer, 0), introduction(networks.lookers, "")):
        assert "<img src=x" not in html
        assert "<b>&" not in html
    assert "&lt;img src=x" in of_picture(answer, 0)


def test_what_speaks_for_a_class_is_left_out_with_a_reason(weights, others, photo, tmp_path):
    in_windows = Networks.load(AppConfig(model_path=weights, device="cpu", tile=True))
    (found,) = in_windows.look([photo], tmp_path / "a").results[0].found
    assert not found.speaks
    assert found.unexplained == "Grad-CAM explains pictures seen whole, not in windows"
    several = Networks.load(AppConfig(model_path=weights, device="cpu", ensemble=(others,)))
    answer = several.look([photo], tmp_path / "b")
    assert "Grad-CAM explains one network, not an ensemble." in of_picture(answer, 0)
    np.testing.assert_array_equal(
        answer.results[0].found[0].labels(), Segmenter.load(weights, ensemble=[others], device="cpu")(photo)[0]
    )


def test_one_picture_goes_through_at_a_time(networks, tmp_path, monkeypatch):
    """Two users at once: the network is never entered twice, and each gets the mask of their own picture."""
    segmenter, inside, most, gate = networks.lookers[0].segmenter, [], [], threading.Event()
    plain_see = segmenter.see

    def see(pictures):
        inside.append(1)
        most.append(len(inside))
        gate.wait(0.05)
        try:
            return plain_see(pictures)
        finally:
            inside.pop()

    expected, answers, calls = {}, {}, []
    for user in range(4):
        path = tmp_path / f"{user}/tom.png"
        path.parent.mkdir()
        Image.fromarray(picture(user, 40 + user, 50)).save(path)
        expected[user] = segmenter.segment([picture(user, 40 + user, 50)])[0].mask

        def ask(user=user, path=path):
            answers[user] = networks.look([path], tmp_path / f"results{user}")

        calls.append(threading.Thread(target=ask))
    monkeypatch.setattr(segmenter, "see", see)
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert max(most) == 1
    assert len(most) == 4
    for user, answer in answers.items():
        np.testing.assert_array_equal(answer.results[0].found[0].labels(), expected[user])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"port": 70_000}, "port 70000 must lie between 0"),
        ({"port": -1}, "port -1 must lie between 0"),
        ({"model_path": Path("a"), "compare_with": Path("a")}, "a would be compared with itself"),
        ({"alpha": 2.0}, "alpha 2.0 is outside"),
    ],
)
def test_settings_that_make_no_page(changed, message):
    with pytest.raises(UserError, match=message):
        AppConfig(**changed)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("10.0.0.1", False)],
)
def test_which_hosts_are_this_machine_alone(host, local):
    assert AppConfig(host=host).is_local is local


@pytest.fixture
def extra(monkeypatch):
    """Let the extra look as if it were installed; nothing is served in what follows."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)


def refused(capsys, *argv: object) -> str:
    assert app([*map(str, argv)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_without_the_extra(weights, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install -e '.[app]' -c constraints.txt" in refused(capsys, "--model_path", weights)


def test_a_port_that_is_taken(extra, weights, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(capsys, "--model_path", weights, "--port", port)
    assert f"port {port} of 127.0.0.1 is taken: give another --port" in said


def test_a_host_that_is_elsewhere(extra, weights, capsys):
    assert "host 192.0.2.1 cannot be served" in refused(capsys, "--host", "192.0.2.1", "--port", 0)


def test_weights_that_make_no_page(extra, tmp_path, capsys):
    from sample_header import sample_header

    from core.weights import save_weights

    assert "give the weights of a training run" in refused(capsys, "--port", 0)
    absent = tmp_path / "absent.safetensors"
    assert f"no weights at {absent}" in refused(capsys, "--port", 0, "--model_path", absent)
    save_weights(tmp_path / "one.safetensors", {"a": torch.zeros(2)}, sample_header("reconstruction"))
    assert "comes from reconstruction" in refused(capsys, "--port", 0, "--model_path", tmp_path / "one.safetensors")


def test_a_page_for_others_is_told_of(extra, tmp_path, capsys):
    assert app(["--host", "0.0.0.0", "--port", "0", "--model_path", str(tmp_path / "absent")]) == 2
    assert capsys.readouterr().err.startswith("note: 0.0.0.0 is more than this machine: whoever reaches it can use the")


def test_the_door_is_free_again():
    with opened("127.0.0.1", 0) as door:
        port = door.getsockname()[1]
        with pytest.raises(UserError, match="is taken"), opened("127.0.0.1", port):
            pass
    with opened("127.0.0.1", port):
        pass


def test_the_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("PAGE_A", "1")
    monkeypatch.delenv("PAGE_B", raising=False)
    import os

    with environment({"PAGE_A": "2", "PAGE_B": "3"}):
        assert (os.environ["PAGE_A"], os.environ["PAGE_B"]) == ("2", "3")
    assert os.environ["PAGE_A"] == "1"
    assert "PAGE_B" not in os.environ
