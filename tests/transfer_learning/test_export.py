"""Networks for other programs: what ONNX Runtime and OpenVINO compute is what torch computes."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from sample_pets import picture
from sample_weights import write_weights

from core.headers.header import read_header
from transfer_learning.evaluate import main as evaluate
from transfer_learning.export import main as export
from transfer_learning.network import SegmentationUNet
from transfer_learning.predict import main as predict
from transfer_learning.train import main as train


@pytest.fixture(scope="module")
def weights(pets, tmp_path_factory):
    run = tmp_path_factory.mktemp("export") / "run"
    flags = ["--width", "2", "--max_steps", "6", "--amp", "off", "--device", "cpu"]
    assert train([*flags, "--data_dir", str(pets), "--output_dir", str(run)]) == 0
    return run / "best_model.safetensors"


@pytest.fixture(scope="module")
def exported(weights, pets, tmp_path_factory):
    """A folder with the network in all three formats."""
    for module in ("onnx", "onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(module, reason="the extra `export` is not installed")
    out = tmp_path_factory.mktemp("exported")
    for name in ("onnx", "openvino", "state_dict"):
        flags = ["--model_path", str(weights), "--format", name, "--output_dir", str(out)]
        assert export([*flags, "--data_dir", str(pets)]) == 0
    return out


@pytest.mark.all
def test_what_is_said_of_an_exported_network(exported, weights):
    content = json.loads((exported / "model.onnx.json").read_text())
    header = read_header(weights)
    assert content["class_set"] == header.classes.content()
    assert (content["size"], content["resize_mode"]) == (40, header.resize_mode)
    assert [entry["runtime"] for entry in content["compared"]] == ["onnxruntime", "openvino"]
    for entry in content["compared"]:
        assert entry["agreement"] >= 0.999
        assert entry["on"] == "pictures of Val"
    tensors = torch.load(exported / "model.pt", weights_only=True)
    SegmentationUNet(**header.architecture).load_state_dict(tensors)
    assert not [path for path in exported.iterdir() if path.name.startswith("model.onnx.") and path.suffix != ".json"]


@pytest.mark.all
@pytest.mark.parametrize(
    ("file", "backend"), [("model.onnx", "onnxruntime"), ("model.onnx", "openvino"), ("model.xml", "openvino")]
)
def test_an_exported_network_is_scored_and_predicts_alike(exported, weights, pets, tmp_path, file, backend):
    images = tmp_path / "images"
    images.mkdir()
    for index, sides in enumerate([(50, 70), (90, 40), (33, 33)]):
        Image.fromarray(picture(index, *sides)).save(images / f"{index}.png")
    found = {}
    for name, flags in (("torch", [weights]), ("other", [exported / file, "--backend", backend])):
        out, common = tmp_path / name, ["--device", "cpu", "--model_path", *map(str, flags)]
        flags = ["--data_dir", str(pets), "--output_dir", str(out / "scores"), "--visualize_samples", "1"]
        assert evaluate([*common, *flags]) == 0
        flags = [
            "--input",
            str(images),
            "--output_dir",
            str(out / "masks"),
            "--no_figures",
            "--tta",
            "--tta_scales",
            "1",
        ]
        assert predict([*common, *flags]) == 0
        scores = json.loads((out / "scores/evaluation_results.json").read_text())
        found[name] = scores, [np.array(Image.open(path)) for path in sorted((out / "masks/masks").iterdir())]
    (plain, masks), (other, others) = found.values()
    assert (plain["settings"]["backend"], other["settings"]["backend"]) == ("torch", backend)
    assert other["mean_iou"] == pytest.approx(plain["mean_iou"], abs=1e-3)
    assert other["provenance"]["seed"] == plain["provenance"]["seed"]
    assert np.mean([np.mean(one == two) for one, two in zip(masks, others, strict=True)]) >= 0.999
    names = {entry["file"] for entry in plain["figures"]} - {entry["file"] for entry in other["figures"]}
    assert names <= {"figures/gradcam.png", "figures/hirescam.png", "figures/training_curves.png"}


@pytest.mark.all
def test_damage_is_told(exported, tmp_path, pets, capsys):
    onnx = pytest.importorskip("onnx")

    def said(path):
        capsys.readouterr()
        flags = ["--model_path", str(path), "--data_dir", str(pets), "--output_dir", str(tmp_path / "out")]
        assert evaluate([*flags, "--no_figures"]) == 2
        return capsys.readouterr().err

    whole = (exported / "model.onnx").read_bytes()
    copy = tmp_path / "model.onnx"
    model = onnx.load_from_string(whole)
    values = bytearray(model.graph.initializer[0].raw_data)
    values[0] ^= 1
    model.graph.initializer[0].raw_data = bytes(values)
    copy.write_bytes(model.SerializeToString())
    assert "altered after it was exported" in said(copy)
    model = onnx.load_from_string(whole)
    model.metadata_props[0].value = model.metadata_props[0].value.replace("letterbox", "stretch")
    copy.write_bytes(model.SerializeToString())
    assert "altered after it was exported" in said(copy)
    del model.metadata_props[:]
    copy.write_bytes(model.SerializeToString())
    assert "was not exported by this project" in said(copy)
    copy.write_bytes(whole[: len(whole) // 2])
    assert "is not a whole ONNX file" in said(copy)
    copy.write_bytes(b"")
    assert "model.onnx" in said(copy)
    other = tmp_path / "model.xml"
    other.write_bytes((exported / "model.xml").read_bytes())
    assert "no exported network at" in said(other)
    values = bytearray((exported / "model.bin").read_bytes())
    values[-1] ^= 1
    other.with_suffix(".bin").write_bytes(values)
    assert "altered after it was exported" in said(other)
    other.write_bytes(b"<net>")
    assert "is not a whole network of OpenVINO" in said(other)


@pytest.mark.all
@pytest.mark.parametrize(
    ("encoder", "decoder", "channels"),
    [
        *(("unet", "linear", 1), ("tf_efficientnet_lite0", "unet", 3), ("convnext_atto", "linear", 3)),
        *(("unet", name, 3) for name in ("fpn", "deeplabv3plus", "pspnet", "segnet", "fcn")),
    ],
)
def test_every_network_is_exported(tmp_path, encoder, decoder, channels):
    pytest.importorskip("onnxscript")
    pytest.importorskip("openvino")
    path = write_weights(
        tmp_path / "weights.safetensors",
        0,
        normalisation="unit",
        encoder=encoder,
        decoder=decoder,
        in_channels=channels,
    )
    assert export(["--model_path", str(path), "--output_dir", str(tmp_path / "out")]) == 0
    content = json.loads((tmp_path / "out/model.onnx.json").read_text())
    assert all(entry["agreement"] >= 0.999 and entry["pixels"] > 10_000 for entry in content["compared"])


def test_an_export_leaves_networks_of_the_same_process_alone(tmp_path):
    model = SegmentationUNet(width=2).eval()
    images, content = torch.rand(1, 3, 40, 40), torch.ones(1, 1, 40, 40, dtype=torch.bool)
    torch.export.export(model, (images, content))
    with torch.inference_mode():
        assert type(SegmentationUNet(width=2).eval()(images, content)) is torch.Tensor
        assert type(model(images, content)) is torch.Tensor


def test_bf16_scores_nearly_as_fp32(weights, pets, tmp_path):
    found = []
    for amp in ("off", "bf16"):
        flags = ["--model_path", str(weights), "--data_dir", str(pets), "--output_dir", str(tmp_path / amp)]
        assert evaluate([*flags, "--no_figures", "--amp", amp, "--device", "cpu"]) == 0
        found.append(json.loads((tmp_path / amp / "evaluation_results.json").read_text()))
    assert [content["settings"]["precision"] for content in found] == ["off", "bf16"]
    assert found[1]["mean_iou"] == pytest.approx(found[0]["mean_iou"], abs=0.02)
    assert found[1]["confusion_matrix"] != found[0]["confusion_matrix"]
