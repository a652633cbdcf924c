"""`transfer_learning.predict` and `Segmenter`: masks of any picture, whole, mirrored, scaled and in windows."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference_inference import reference_scores
from sample_classes import classes_of
from sample_header import sample_header
from sample_pets import picture

from core.classes import ClassSet
from core.errors import UserError
from core.filing.writing import lock
from core.headers.header import Header, read_header
from core.networks.unet import initialise
from core.weights import save_weights
from data.opened import open_data
from data.pictures import PictureError, read_mask
from data.prepare import main as prepare
from data.sources.own.walking import walk
from transfer_learning.inference.backends import Network, load_network
from transfer_learning.inference.files import overlay, side_by_side
from transfer_learning.inference.inputs import find_files, result_names, unwritable
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.readout import Readout
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.inference.windows import axis_weights, blend_windows, window_starts
from transfer_learning.network import SegmentationUNet
from transfer_learning.predict import main as predict
from transfer_learning.predict_config import InferenceOptions
from transfer_learning.train import main as train

SIZE = 40
CLASSES = ["background", "cat", "dog"]
PETS = ClassSet(tuple(CLASSES), ignored_is="border")


def write_weights(path: Path, mode: str | None = "letterbox") -> Path:
    architecture = {"num_classes": 3, "width": 2, "normalisation": "imagenet"}
    torch.manual_seed(3)
    model = SegmentationUNet(**architecture)
    initialise(model)
    header = {"phase": "transfer_learning", "architecture": architecture, "class_names": CLASSES, "epoch": 1}
    seen = {"size": SIZE, "resize_mode": mode} if mode else {}
    save_weights(path, model.state_dict(), {**header, **seen, "config": {"seed": 42}, "metrics": {}})
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "weights.safetensors")


@pytest.fixture
def run(weights, tmp_path):
    """Run the command on inputs; returns the exit code and, where it is written, predictions.json."""

    def call(*inputs: Path | str, flags: tuple[str, ...] = ()) -> tuple[int, dict]:
        out = tmp_path / "out"
        flags = ("--model_path", str(weights), "--output_dir", str(out), "--device", "cpu", *flags)
        code = predict([*flags, "--input", *map(str, inputs)])
        found = out / "predictions.json"
        return code, json.loads(found.read_text()) if found.exists() else {}

    return call


class PerPixel(torch.nn.Module):
    """Scores that depend on the pixel alone: the same whole, mirrored and in windows."""

    def forward(self, images, content=None):
        return 4 * images


def per_pixel(size: int = SIZE, **options) -> Segmenter:
    header = Header.of(sample_header("transfer_learning", architecture={}, format_version=1), "header")
    chosen = InferenceOptions(**options)
    return Segmenter(Readout(Network(PerPixel()), (size, size), "stretch", chosen, chosen.batch_size), header)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Segmenter(["a.safetensors"]), r"Segmenter\.load\(FILE\) loads weights"),
        (lambda: Segmenter.load(["a.safetensors", "b.safetensors"]), r"one path, not a list.*ensemble=\[\.\.\.\]"),
        (
            lambda: per_pixel()(["a.png", "b.png"]),
            r"a list is no picture: give a file or an array \(uint8\); several to seg",
        ),
        (lambda: per_pixel()(__file__), r"test_predict\.py: not a picture"),
    ],
    ids=["made", "loaded", "called with several", "called with a text"],
)
def test_a_segmenter_says_what_it_takes(call, message):
    with pytest.raises((UserError, PictureError), match=message):
        call()


def softmax_of(image: np.ndarray) -> np.ndarray:
    scores = np.exp(4 * image.astype(np.float64) / 255)
    return scores / scores.sum(-1, keepdims=True)


@given(st.integers(1, 400), st.integers(1, 130), st.floats(0, 0.95))
def test_window_weights_sum_to_one_everywhere(length, window, overlap):
    window = min(length, window)
    starts, weights = axis_weights(length, window, overlap)
    total = np.zeros(length)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + window] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert (starts[0], starts[-1]) == (0, length - window)
    assert (np.diff(starts) <= max(1, window * (1 - overlap))).all()
    assert weights.min() > 0


def test_windows_are_weighted_most_in_their_middle():
    assert window_starts(100, 40, 0.5) == [0, 20, 40, 60]
    _, weights = axis_weights(100, 40, 0.5)
    assert weights[1].argmax() in (19, 20)
    assert weights[1][0] < 0.01
    assert weights[0][0] == 1  # nobody else sees the corner


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(1, 40), st.integers(1, 5))
def test_windows_of_what_depends_on_the_pixel_alone_have_no_seams(height, width, window_height, window_width, batch):
    image = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    window = (min(height, window_height), min(width, window_width))
    batches = []

    def planes(windows):
        batches.append(len(windows))
        return windows.transpose(0, 3, 1, 2).astype(np.float32)

    blended = blend_windows(image, window, 0.5, batch, planes)
    np.testing.assert_allclose(blended, image.transpose(2, 0, 1), rtol=1e-5, atol=1e-4)
    assert max(batches) <= batch


@pytest.mark.parametrize(("height", "width"), [(41, 40), (20, 300), (133, 97), (47, 5)])
@pytest.mark.parametrize("tta", [False, True])
def test_tiles_equal_the_whole(height, width, tta):
    image = picture(1, height, width)
    segmenter = per_pixel(tile=True, tta=tta, tta_scales=(1.0,), batch_size=3)
    (found,) = segmenter.segment([image])
    expected = softmax_of(image)
    assert found.tiled
    np.testing.assert_allclose(found.confidence, expected.max(-1), atol=1e-5)
    clear = np.diff(np.sort(expected, -1)[..., -2:])[..., 0] > 1e-4
    np.testing.assert_array_equal(found.mask[clear], expected.argmax(-1)[clear])


def test_pictures_no_larger_than_a_window_are_seen_whole(tmp_path):
    small, large = picture(1, 30, SIZE), picture(2, 30, SIZE + 1)
    found = per_pixel(tile=True).segment([large, small, large])
    assert [segmentation.tiled for segmentation in found] == [True, False, True]
    assert [segmentation.mask.shape for segmentation in found] == [large.shape[:2], small.shape[:2], large.shape[:2]]
    np.testing.assert_array_equal(found[1].mask, per_pixel()(small)[0])
    cv2.imwrite(str(file := tmp_path / "small.png"), small[..., ::-1])
    np.testing.assert_array_equal(per_pixel().segment([file, str(file)])[1].mask, found[1].mask)
    with pytest.raises(PictureError, match=r"float64 \(30, 40, 3\): pictures are uint8"):
        per_pixel().segment([small, np.zeros((30, 40, 3))])
    with pytest.raises(PictureError, match="segment takes several pictures, a list"):
        per_pixel().segment(small)
    assert not per_pixel(tile=True, tile_scale=0.5).readout.is_tiled(large.shape[:2])
    assert per_pixel(tile=True, tile_scale=2).readout.is_tiled(small.shape[:2])


def test_memory_of_tiles_is_bounded_by_a_scaled_size(monkeypatch):
    monkeypatch.setattr("transfer_learning.inference.segmenter.MAX_PIXELS", 100_000)
    with pytest.raises(PictureError, match="400 x 400 after scaling is more than"):
        per_pixel(tile=True, tile_scale=4)(picture(1, 100, 100))


@pytest.mark.parametrize("tile", [False, True])
def test_tta_of_a_uniform_picture_changes_nothing(tile):
    image = np.full((90, 60, 3), (10, 200, 60), np.uint8)
    plain, augmented = (per_pixel(tile=tile, tta=tta)(image) for tta in (False, "flips,0.9,1,1.25"))
    np.testing.assert_array_equal(plain[0], augmented[0])
    np.testing.assert_allclose(plain[1], augmented[1], atol=1e-6)


@pytest.mark.parametrize("flags", [{}, {"tile": True}])
def test_tta_mirrors_with_the_picture(weights, flags):
    image = picture(3, 90, 80)  # a width over which windows lie evenly at all scales
    plain = Segmenter.load(weights, device="cpu", resize_mode="stretch", **flags)
    augmented = Segmenter.load(weights, device="cpu", resize_mode="stretch", tta="flips,1,1.25", **flags)
    assert np.abs(plain(image[:, ::-1].copy())[1] - plain(image)[1][:, ::-1]).max() > 0.01
    (mask, confidence), (mirrored, of_mirrored) = augmented(image), augmented(image[:, ::-1].copy())
    np.testing.assert_allclose(of_mirrored, confidence[:, ::-1], atol=1e-4)
    assert (mirrored == mask[:, ::-1]).mean() > 0.999


def test_tta_is_the_mean_of_its_views(weights):
    """The same by hand: each view's scores brought back, their softmax averaged."""
    image = picture(4, SIZE, SIZE)
    segmenter = Segmenter.load(weights, device="cpu", tta=True, tta_scales=(1.0, 1.5))
    model = load_network(weights, ReadoutOptions(), "cpu").model
    expected = np.zeros((3, SIZE, SIZE))
    for side in (SIZE, 60):
        square = cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR) if side > SIZE else image
        batch = torch.from_numpy(square).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            for seen in (model(batch), model(batch.flip(3)).flip(3)):
                planes = [cv2.resize(plane, (SIZE, SIZE)) for plane in seen[0].numpy()]
                expected += torch.tensor(np.stack(planes)).softmax(0).numpy() / 4
    mask, confidence = segmenter(image)
    np.testing.assert_allclose(confidence, expected.max(0), atol=1e-5)
    assert (mask == expected.argmax(0)).mean() > 0.999


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_the_command_agrees_with_the_evaluation(tmp_path, mode):
    images, data, out = tmp_path / "images", tmp_path / "data", tmp_path / "out"
    images.mkdir()
    for index, size in enumerate([(30, 70), (64, 40), (40, 40), (90, 33), (200, 150), (50, 50)]):
        Image.fromarray(picture(index, *size)).save(images / f"pet{index}.png")
    flags = ["--dataset", "folder", "--images", str(images), "--size", str(SIZE), "--resize_mode", mode]
    assert prepare([*flags, "--test_ratio", "0.6", "--output_dir", str(data)]) == 0
    weights = write_weights(tmp_path / "weights.safetensors", mode)
    flags = ["--model_path", str(weights), "--input", str(images), "--output_dir", str(out), "--no_figures"]
    assert predict([*flags, "--device", "cpu"]) == 0
    split = open_data(data).split("Test")
    model = load_network(weights, ReadoutOptions(), "cpu").model
    found = reference_scores(model, split, np.arange(len(split.names)))
    assert len(found) >= 3
    for index, scores in found.items():
        expected = scores.argmax(axis=0)
        mask = read_mask(out / "masks" / f"{split.names[index]}.png")
        assert len(np.unique(expected)) > 1
        assert mask.shape == expected.shape
        assert (mask != expected).mean() <= 1e-3


def test_training_names_the_size_in_the_weights(pets, tmp_path):
    flags = "--width 2 --max_steps 1 --val_every 1 --amp off --device cpu"
    assert train([*flags.split(), "--data_dir", str(pets), "--output_dir", str(tmp_path)]) == 0
    path = tmp_path / "best_model.safetensors"
    header = read_header(path)
    assert (header.size, header.resize_mode) == ((40, 40), "letterbox")
    mask, confidence = Segmenter.load(path, device="cpu")(picture(1, 50, 70))
    assert mask.shape == confidence.shape == (50, 70)
    assert confidence.min() >= 1 / 3


def test_what_the_command_leaves(run, tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    Image.fromarray(picture(1, 60, 90)).save(folder / "tom.png")
    Image.fromarray(picture(2, 50, 30)).save(folder / "tom.bmp")
    Image.fromarray(picture(3, 20, 300)).save(folder / "deep" / "tom.png")
    code, content = run(folder)
    assert code == 0
    out = tmp_path / "out"
    results = ("deep/tom", "tom.bmp", "tom.png")
    expected = {f"{kind}/{name}.png" for kind in ("masks", "overlays", "figures") for name in results}
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == expected | {"predictions.json", "predictions.csv"}
    assert [record["file"] for record in content["pictures"]] == ["deep/tom.png", "tom.bmp", "tom.png"]
    for record in content["pictures"]:
        _check_record(out, record, folder / record["file"])
    _check_total(content)
    assert {"commit", "checkpoint_sha256", "resolution", "seed", "versions", "device"} <= set(content["provenance"])
    assert str(tmp_path) not in json.dumps(content)
    assert [entry["file"] for entry in content["figures"]] == [record["figure"] for record in content["pictures"]]


def _check_record(out: Path, record: dict, source: Path) -> None:
    with Image.open(out / record["mask"]) as image:
        assert image.mode == "P"
        assert image.size == Image.open(source).size == (record["width"], record["height"])
        colours = np.array(image.getpalette()[:9]).reshape(3, 3)
        assert colours.tolist() == [list(colour) for colour in PETS.palette]
        mask = np.array(image)
    counts = np.bincount(mask.ravel(), minlength=3)
    assert [record["classes"][name]["pixels"] for name in CLASSES] == counts.tolist()
    assert [record["classes"][name]["share"] for name in CLASSES] == pytest.approx(counts / mask.size)
    for name, count in zip(CLASSES, counts, strict=True):
        assert (record["classes"][name]["confidence"] is None) == (count == 0)
    overlay = np.array(Image.open(out / record["overlay"])).astype(float)
    expected = 0.55 * np.array(Image.open(source)) + 0.45 * colours[mask]
    assert np.abs(overlay - expected).max() <= 1


def _check_total(content: dict) -> None:
    pictures, total = content["pictures"], content["total"]
    area = sum(record["height"] * record["width"] for record in pictures)
    for name in CLASSES:
        assert total["classes"][name]["pixels"] == sum(record["classes"][name]["pixels"] for record in pictures)
    weighted = sum(record["confidence"] * record["height"] * record["width"] for record in pictures)
    assert total["confidence"] == pytest.approx(weighted / area)


def test_the_csv_says_what_the_json_says(run, tmp_path):
    Image.fromarray(picture(1, 60, 90)).save(tmp_path / "a,b.png")
    _, content = run(tmp_path / "a,b.png", flags=("--no_figures",))
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    (record,) = content["pictures"]
    assert (row["file"], row["mask"]) == ("a,b.png", "masks/a,b.png")
    assert "overlay" not in row
    assert int(row["pixels_cat"]) == record["classes"]["cat"]["pixels"]
    assert float(row["confidence"]) == record["confidence"]


def test_pictures_of_every_kind(run, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    image = picture(5, 50, 70)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(folder / "plain.png")
    Image.fromarray(image).save(folder / "turned.png", exif=exif)
    Image.fromarray(np.dstack([image, np.full((50, 70), 99, np.uint8)])).save(folder / "rgba.png")
    Image.fromarray(image[..., 0]).save(folder / "grey.png")
    Image.fromarray(image[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    Image.fromarray(picture(6, 20, 300)).save(folder / "thin.jpg")
    Image.fromarray(picture(7, 1, 1)).save(folder / "one.webp")
    code, content = run(folder, flags=("--tta", "flips,1,1.25"))
    assert code == 0
    sizes = {record["file"]: (record["height"], record["width"]) for record in content["pictures"]}
    assert sizes == {
        **dict.fromkeys(("plain.png", "rgba.png", "grey.png", "deep.png"), (50, 70)),
        **{"turned.png": (70, 50), "thin.jpg": (20, 300), "one.webp": (1, 1)},
    }
    masks = {name: read_mask(tmp_path / "out/masks" / Path(name).with_suffix(".png")) for name in sizes}
    assert {name: mask.shape for name, mask in masks.items()} == sizes
    np.testing.assert_array_equal(masks["rgba.png"], masks["plain.png"])
    np.testing.assert_array_equal(masks["deep.png"], masks["grey.png"])
    assert content["pictures"][-1]["notes"] == ["turned upright (EXIF orientation 6)"]


def test_what_cannot_be_read_is_listed_and_the_rest_goes_on(run, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(picture(1, 60, 90)).save(folder / "a.jpg")
    Image.fromarray(picture(2, 60, 90)).save(folder / "z.jpg")
    (folder / "cut.jpg").write_bytes((folder / "a.jpg").read_bytes()[:1500])
    (folder / "notes.txt").write_text("not a picture")
    (folder / "gone.png").symlink_to("nowhere")
    code, content = run(folder)
    assert code == 1
    assert [record["file"] for record in content["pictures"]] == ["a.jpg", "z.jpg"]
    reasons = {entry["file"]: entry["reason"] for entry in content["unreadable"]}
    assert reasons["cut.jpg"].startswith("damaged: ")
    assert reasons["notes.txt"] == "not a picture, or its header is damaged"
    assert reasons["gone.png"] == "a link to nowhere, which is not there"
    errors = capsys.readouterr().err
    assert "not read: notes.txt: not a picture" in errors
    assert "error: 3 of 5 files could not be read" in errors


def test_an_odd_name_and_an_earlier_result_do_not_end_a_prediction(run, tmp_path, capsys):
    folder = tmp_path / "in"
    names = ["a.jpg", f"{'x' * 251}.jpg", "b.jpg", "b.png/below.jpg"]
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(seed, 60, 90)).save(folder / name)
    (folder / "earlier/masks").mkdir(parents=True)
    (folder / "earlier/predictions.json").write_text('{"format": 2, "num_pictures": 1}')
    Image.fromarray(picture(1, 60, 90)).save(folder / "earlier/masks/a.png")
    code, content = run(folder)
    assert code == 1
    assert [record["file"] for record in content["pictures"]] == [names[0], names[2], names[1]]
    assert all((tmp_path / "out" / record["figure"]).is_file() for record in content["pictures"])
    ((name, reason),) = [(entry["file"], entry["reason"]) for entry in content["unreadable"]]
    assert (name, reason) == (names[3], "its folder is called as the result of a picture, b.png: rename it")
    assert "1 files passed over: holds results of a prediction" in capsys.readouterr().err


def test_bad_input_is_exit_code_2(run, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("not a picture")
    for given_input, message in (
        ("empty", "holds no file to segment"),
        ("nowhere.jpg", "nowhere.jpg does not exist"),
        ("*.jpg", "holds no file to segment"),
        ("notes.txt", "none of 1 files can be read as a picture (notes.txt: not a picture"),
    ):
        assert run(tmp_path / given_input) == (2, {})
        assert message in capsys.readouterr().err
    assert predict([]) == 2
    assert "--model_path" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--size", "20"), "at least 33 px"),
        (("--size", "40x20"), "at least 33 px"),
        (("--size", "40x0"), "outside 1 to 8192"),
        (("--size", "1000000"), "outside 1 to 8192"),
        (("--size", "forty"), "give 128 for a square, or 360x480"),
        (("--tile_overlap", "0.9999"), "tile_overlap 0.9999 is outside [0, 0.9]"),
        (("--tile_scale", "0"), "0.1 to 4 times"),
        (("--tta_scales", "nan"), "0.1 to 4 times"),
        (("--tta_scales", "1", "1e6"), "a scale of 1e+06 is out of range"),
        (("--tta_scales", "0.001"), "a scale of 0.001 is out of range"),
        (
            ("--tta", "1,0.8"),
            "a scale of 0.8 leaves 32x32 px of 40x40, and every side needs at least 33: give scales from",
        ),
        (("--batch_size", "0"), "batch_size 0 must be at least 1"),
        (("--resize_mode", "crop"), "crop"),
        (("--device", "cuda:99"), "cuda:99 does not exist"),
    ],
)
def test_wrong_settings_are_refused(run, tmp_path, flags, message, capsys):
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png", flags=flags)[0] == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_weights_that_do_not_name_their_size(tmp_path):
    old = write_weights(tmp_path / "old.safetensors", mode=None)
    with pytest.raises(UserError, match="give --size and --resize_mode"):
        Segmenter.load(old, device="cpu")
    assert Segmenter.load(old, device="cpu", size=64, resize_mode="stretch").readout.size == (64, 64)


def test_an_array_of_another_kind_is_refused():
    for wrong in (
        np.zeros(4, np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((0, 4), np.uint8),
    ):
        with pytest.raises(PictureError, match=r"pictures are uint8 \[H, W, 3\]"):
            per_pixel()(wrong)


def test_inputs_of_all_kinds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/x.png", "a/b/x.png", "a/b/y[1].jpg", "a/.hidden.png", "c/x.png", "a/out/masks/x.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()

    def names(*inputs):
        return list(find_files(inputs, Path("a/out"))[0])

    assert names("a") == ["b/x.png", "b/y[1].jpg", "x.png"]
    assert names("a/b/y[1].jpg") == ["y[1].jpg"]
    assert names("a/**/*.png") == names(str(tmp_path / "a/**/*.png")) == ["b/x.png", "x.png"]
    assert names("a/*/x.png", "c", "a/b") == ["a/b/x.png", "a/b/y[1].jpg", "c/x.png"]
    with pytest.raises(UserError, match="both --input and --output_dir"):
        names("a/out")


def test_no_two_results_share_a_name():
    assert result_names(["a/tom.jpg", "b/tom.jpg"]) == {"a/tom.jpg": "a/tom", "b/tom.jpg": "b/tom"}
    names = ["tom.jpg", "tom.png", "tom.jpg.gif", "tom"]
    assert len(set(result_names(names).values())) == len(names)


def test_weights_of_pictures_say_that_a_file_is_a_volume(run, tmp_path, capsys):
    (tmp_path / "scan.nii.gz").write_bytes(b"any")
    (tmp_path / "slice").write_bytes(bytes(128) + b"DICM")
    for name in ("scan.nii.gz", "slice"):
        assert run(tmp_path / name)[0] == 2
        assert "a volume, and these weights are of pictures" in capsys.readouterr().err


def test_an_input_is_never_overwritten(run, tmp_path, capsys):
    (tmp_path / "out/masks").mkdir(parents=True)
    Image.fromarray(picture(1)).save(tmp_path / "out/masks/a.png")
    assert run(tmp_path / "out/masks/a.png")[0] == 2
    assert "would be overwritten" in capsys.readouterr().err
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png")[0] == 2  # a mask that somebody drew
    assert f"{tmp_path / 'out/masks/a.png'} is there, and no result" in capsys.readouterr().err


@pytest.mark.parametrize("again", [False, True])
def test_ctrl_c_leaves_whole_files_and_no_mixture(run, tmp_path, monkeypatch, capsys, again):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(picture(index)).save(folder / f"{index}.png")
    if again:
        assert run(folder)[0] == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    segment, calls = Segmenter.see, []

    def interrupted(self, pictures):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return segment(self, pictures)

    monkeypatch.setattr(Segmenter, "see", interrupted)
    code, _ = run(folder, flags=("--batch_size", "1", "--no_figures"))
    assert code == 130
    assert "1 of 3 pictures were done" in capsys.readouterr().err
    after = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    if again:
        assert after == before
    else:
        assert [path.name for path in (out / "masks").iterdir()] == ["0.png"]
        assert not (out / "predictions.json").exists()
        assert list(walk(tmp_path)) == [folder / f"{index}.png" for index in range(3)]
    assert not (out / ".partial").exists()
    monkeypatch.setattr(Segmenter, "see", segment)
    (folder / "0.png").unlink()
    assert run(folder, flags=("--no_figures",))[0] == 0
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {"masks/1.png", "masks/2.png", "predictions.json", "predictions.csv"}


def test_a_second_prediction_replaces_the_first_and_nothing_else(run, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("tom", "kim"):
        Image.fromarray(picture(len(name))).save(folder / f"{name}.png")
    assert run(folder)[0] == 0
    (out / "masks" / "mine.png").write_bytes(b"mine")
    (tmp_path / "outside.png").write_bytes(b"mine")
    tables = out / "predictions.json"
    content = json.loads(tables.read_text())
    content["pictures"].append({"mask": "../outside.png"})
    content["figures"] = [7, {"file": None}, {"file": str(tmp_path / "outside.png")}]
    tables.write_text(json.dumps(content))
    (folder / "tom.png").unlink()
    Image.fromarray(picture(9)).save(folder / "pat.png")
    assert run(folder, flags=("--no_figures",))[0] == 0
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"masks/kim.png", "masks/pat.png", "masks/mine.png", "predictions.json"} <= found
    assert not {"masks/tom.png", "overlays/tom.png", "overlays/kim.png", "figures/tom.png"} & found
    assert (tmp_path / "outside.png").read_bytes() == b"mine"


def test_one_prediction_at_a_time_writes_to_a_folder(run, tmp_path, capsys):
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    held = lock(tmp_path / "out", "--output_dir")
    assert run(tmp_path / "a.png")[0] == 2
    assert "is in use by another call" in capsys.readouterr().err
    held.release()
    assert run(tmp_path / "a.png")[0] == 0


def test_a_grey_picture_is_seen_as_one_of_colours():
    grey = picture(1, 50, 70)[..., 0]
    for found, expected in zip(per_pixel()(grey), per_pixel()(np.dstack([grey] * 3)), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_deep_and_transparent_files_are_read_as_those_of_the_training(tmp_path):
    grey = picture(1, 50, 70)[..., 0]
    Image.fromarray(100 + 2 * grey.astype(np.uint16)).save(tmp_path / "deep.png")
    clear = np.dstack([picture(2, 50, 70), np.where(np.arange(70) < 30, 0, 255).repeat(50).reshape(70, 50).T])
    Image.fromarray(clear.astype(np.uint8)).save(tmp_path / "clear.png")
    segmenter = per_pixel()
    segmenter.header = replace(segmenter.header, value_range=(100, 610), ground="black")
    np.testing.assert_array_equal(segmenter.read(tmp_path / "deep.png")[0], np.dstack([grey] * 3))
    assert not segmenter.read(tmp_path / "clear.png")[0][:, :30].any()
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(segmenter(path)[1], segmenter(segmenter.read(path)[0])[1])


def test_a_figure_names_as_many_classes_as_it_has_room_for():
    class_set = classes_of(150)
    mask = np.arange(150, dtype=np.uint8).repeat(20).reshape(50, 60)
    image = picture(1, 50, 60)
    drawn = side_by_side(image, mask, overlay(image, mask, class_set), class_set)
    assert drawn.shape[1] == side_by_side(image, mask % 3, image, PETS).shape[1]
    assert (drawn[-30:, :3] == 255).all()  # the legend ends before the edge
    assert (drawn[-30:, -3:] == 255).all()
    assert (drawn[-30:] != 255).any()


def test_names_that_are_no_text_are_spelt_out(run, tmp_path, capsys):
    folder = tmp_path / "odd"
    for name in (b"caf\xe9.png", b"d\xff/x.png", b"na\xc3\xafve.png", b"broken\xfe.png", b"caf\\xe9.jpg"):
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(1)).save(path, "png")
        if b"broken" in name:
            path.write_bytes(b"no picture")
    code, content = run(folder)
    said = capsys.readouterr()
    assert code == 1
    names = ["caf\\xe9.jpg", "caf\\xe9.png", "d\\xff/x.png", "naïve.png"]
    assert sorted(record["file"] for record in content["pictures"]) == names
    assert [entry["file"] for entry in content["unreadable"]] == ["broken\\xfe.png"]
    assert "not read: broken\\xfe.png" in said.err
    json.dumps(content, ensure_ascii=False).encode()  # no lone surrogate
    with (tmp_path / "out/predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["file"] for row in rows) == names
    for record in (*content["pictures"], *rows):
        assert (tmp_path / "out" / record["mask"]).is_file()


def test_two_names_that_are_spelt_out_alike_are_not_mixed():
    raw, spelt = "caf\udce9.png", "caf\\xe9.png"
    results = result_names([spelt, raw])
    assert dict(unwritable(results)).keys() == {raw}
