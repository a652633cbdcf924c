"""Write a network in the formats of other runtimes, and compare what they compute with it."""

import copy
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import RunError
from core.files import read_bytes
from core.headers.header import HEADER_KEY, header_content
from core.networks.kernels import use_kernels
from core.networks.unet import MIN_SIDE
from transfer_learning.exporting.pictures import Batches
from transfer_learning.inference.exported import (
    DIGEST_KEY,
    INPUTS,
    KINDS,
    OUTPUT,
    Scores,
    digest_of,
    graph_of_onnx,
    load_onnxruntime,
    load_openvino,
    of_extra,
)
from transfer_learning.network import SegmentationUNet
from transfer_learning.scores.confusion import confusion_matrix, counts_of


class Exporter:
    """A network on the CPU, in eval mode, and the file of its weights."""

    def __init__(self, model: SegmentationUNet, model_path: Path) -> None:
        self.model = model.to(memory_format=torch.contiguous_format)
        use_kernels(self.model, "torch")
        self.header = json.dumps(header_content(model_path), sort_keys=True)

    def write(self, path: Path, opset: int, ranges: Batches | None = None) -> None:
        """Write the network; the suffix says in which format.

        Args:
            path: model.onnx, model.xml (with model.bin beside it) or model.pt.
            opset: of ONNX.
            ranges: of ONNX in eight bits, the pictures that the ranges of activations are taken from.

        Raises:
            UserError: the extra `export` is not installed.
        """
        # What writes it, and what it is compared with: known before the half minute that writing takes.
        for module in ("onnx", "onnxscript", *KINDS[path.suffix]) if path.suffix in KINDS else ():
            of_extra(module)
        if path.suffix in KINDS:
            print("tracing the network and writing it anew: half a minute, more with deep encoders", file=sys.stderr)
        if path.suffix == ".pt":
            torch.save(self.model.state_dict(), path)
        elif path.suffix == ".onnx":
            path.write_bytes(self._onnx(opset, ranges).SerializeToString())
        else:
            self._openvino(path, opset)

    def compare(self, path: Path, batches: Batches) -> list[dict[str, Any]]:
        """Return for each runtime that computes the file how far it is from the network.

        Returns:
            `runtime`, `pixels`, `largest_difference` of logits, `agreement`: the share of pixels that get the same
            class, and `mean_iou` of the classes' regions with the network's, which a rare class weighs in as much as
            any other. Bars are left out.
        """
        found = []
        for runtime, scores in self._runtimes(path):
            largest, matrices = 0.0, []
            for images, content in batches:
                with torch.inference_mode():
                    wanted = self.model(images, content)
                got, inside = scores(images, content), content[:, 0]
                if not (got.isfinite().all() and wanted.isfinite().all()):
                    raise RunError(f"{runtime} or the network gives NaN or infinity: nothing was written")
                largest = max(largest, (got - wanted).abs().max().item())
                matrices.append(confusion_matrix(got.argmax(1)[inside], wanted.argmax(1)[inside], got.shape[1]).numpy())
            matrix = np.sum(matrices, axis=0)
            hit, truth, said = counts_of(matrix).T
            seen = truth + said > 0
            found.append(
                {
                    "runtime": runtime,
                    "pixels": int(matrix.sum()),
                    "largest_difference": largest,
                    "agreement": float(hit.sum() / matrix.sum()),
                    "mean_iou": float(np.mean(hit[seen] / (truth + said - hit)[seen])),
                }
            )
        return found

    def _runtimes(self, path: Path) -> Iterator[tuple[str, Scores]]:
        """Yield what computes the file, and its name."""
        if path.suffix == ".pt":
            twin = copy.deepcopy(self.model)
            twin.load_state_dict(torch.load(path, weights_only=True))
            yield "torch", torch.inference_mode()(twin)
        for runtime in KINDS.get(path.suffix, ()):
            load = load_onnxruntime if runtime == "onnxruntime" else load_openvino
            yield runtime, load(path, torch.get_num_threads(), "off")[0]

    def _onnx(self, opset: int, ranges: Batches | None = None) -> Any:
        """Return the network as a ModelProto, with its header and digest."""
        onnx, model = of_extra("onnx"), self._traced(opset)
        if ranges is not None:
            from transfer_learning.exporting.quantising import quantised

            model = quantised(model, ranges)
        onnx.helper.set_model_props(model, self._metadata(graph_of_onnx(model)))
        return model

    def _traced(self, opset: int) -> Any:
        """Return the network in fp32 as a ModelProto."""
        images = torch.rand(2, self.model.in_channels, 2 * MIN_SIDE, 2 * MIN_SIDE)
        content = torch.ones(2, 1, *images.shape[2:], dtype=torch.bool)
        batch, *sides = (
            torch.export.Dim("batch"),
            *(torch.export.Dim(name, min=MIN_SIDE) for name in ("height", "width")),
        )
        free = {0: batch, 2: sides[0], 3: sides[1]}
        with warnings.catch_warnings():  # of names of axes that are equal, which they are meant to be
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                self.model,
                (images, content),
                dynamo=True,
                dynamic_shapes=dict.fromkeys(INPUTS, free),
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                opset_version=opset,
                verbose=False,
            )
        assert program is not None
        return program.model_proto

    def _openvino(self, path: Path, opset: int) -> None:
        """Write model.xml and model.bin, by way of ONNX."""
        vino = of_extra("openvino")
        by_way = path.with_suffix(".onnx")
        by_way.write_bytes(self._onnx(opset).SerializeToString())
        model = vino.convert_model(str(by_way))
        by_way.unlink()
        vino.save_model(model, str(path), compress_to_fp16=False)
        # The digest is of the weights as written: the same model with its metadata is written over them.
        for key, value in self._metadata(read_bytes(path.with_suffix(".bin"))).items():
            model.set_rt_info(value, [key])
        vino.save_model(model, str(path), compress_to_fp16=False)

    def _metadata(self, exported: bytes) -> dict[str, str]:
        return {HEADER_KEY: self.header, DIGEST_KEY: digest_of(self.header, exported)}
