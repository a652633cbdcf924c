"""Grad-CAM: what a second implementation says, and that the network is left as it was."""

import copy

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam, LayerGradientXActivation
from pytorch_grad_cam import GradCAM, HiResCAM
from pytorch_grad_cam.utils.image import scale_cam_image

from core.networks.unet import initialise
from transfer_learning.figures.gradcam import METHODS, class_activations, explained_layers
from transfer_learning.network import SegmentationUNet

CLASSES = (1, 2)  # cat, dog


@pytest.fixture
def model():
    torch.manual_seed(1)
    network = SegmentationUNet(width=4)
    initialise(network)
    return network.eval()


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 3, 64, 64, generator=generator)
    content = torch.ones(3, 1, 64, 64, dtype=torch.bool)
    content[1, :, :12] = content[1, :, -12:] = False
    return images * content, content


def activation(model, images, content, target_class, layer, method="gradcam"):
    """Return the maps [N, H, W] of one class at one layer."""
    found = class_activations(model, images, content, [target_class], {"here": layer})
    return np.stack(found[method][target_class, "here"])


def predicted(model, images, content, target_class):
    with torch.no_grad():
        return (model(images, content).argmax(dim=1) == target_class) & content[:, 0]


@pytest.mark.parametrize("where", ["bottleneck", "decoder"])
@pytest.mark.parametrize("target_class", [0, 1, 2])
def test_maps_equal_those_of_captum(model, batch, where, target_class):
    chosen = predicted(model, *batch, target_class)
    assert chosen.flatten(1).any(1).all(), "the test needs every class in every picture"
    layer = explained_layers(model)[where]
    theirs = LayerGradCam(lambda images: (model(images, batch[1])[:, target_class] * chosen).sum((1, 2)), layer)
    reference = theirs.attribute(batch[0], relu_attributions=True)[:, 0].detach().numpy()
    reference = scale_cam_image(scale_cam_image(reference, (64, 64)))
    found = activation(model, *batch, target_class, layer)
    assert found.shape == (3, 64, 64)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(found, reference, atol=1e-4)


@pytest.mark.parametrize("where", ["bottleneck", "decoder"])
def test_elementwise_maps_equal_those_of_captum(model, batch, where):
    chosen = predicted(model, *batch, 2)
    layer = explained_layers(model)[where]
    theirs = LayerGradientXActivation(lambda images: (model(images, batch[1])[:, 2] * chosen).sum((1, 2)), layer)
    reference = theirs.attribute(batch[0]).sum(1).clamp(min=0).detach().numpy()
    reference = scale_cam_image(scale_cam_image(reference, (64, 64)))
    found = activation(model, *batch, 2, layer, "hirescam")
    np.testing.assert_allclose(found, reference, atol=1e-4)
    pooled = activation(model, *batch, 2, layer)
    assert np.abs(found - pooled).max() > 0.1, "the two methods are not the same"


@pytest.mark.parametrize("where", ["bottleneck", "decoder"])
@pytest.mark.parametrize(("method", "library"), [("gradcam", GradCAM), ("hirescam", HiResCAM)])
def test_maps_equal_those_of_the_library_grad_cam(model, batch, where, method, library):
    found = activation(model, *batch, 1, explained_layers(model)[where], method)
    chosen = predicted(model, *batch, 1)

    class OfImages(torch.nn.Module):
        def forward(self, images):
            return network(images, batch[1]) * chosen[:, None]

    network = copy.deepcopy(model)
    layer = explained_layers(network)[where]
    layer.register_forward_hook(lambda module, inputs, output: output.clone())  # LeakyReLU changes it in place
    of_images = OfImages()
    of_images.network = network
    reference = library(of_images, [layer])(batch[0].clone(), [lambda logits: logits[1].sum()] * 3)
    np.testing.assert_allclose(found, reference, atol=1e-4)


@pytest.mark.parametrize("where", ["bottleneck", "decoder"])
def test_why_grad_cam_says_little_here(model, batch, where):
    """What is added to a whole channel changes nothing but for the padding, so its mean gradient cancels."""
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d) and module.padding != (0, 0):
            module.padding_mode = "circular"
            module._reversed_padding_repeated_twice = [1, 1, 1, 1]
    seen = []
    explained_layers(model)[where].register_forward_hook(lambda module, inputs, output: seen.append(output))
    (gradient,) = torch.autograd.grad(model(*batch)[:, 1].sum(), seen)
    assert gradient.mean((2, 3)).abs().max() < 1e-4 * gradient.abs().max()


def test_a_layer_whose_output_is_changed_in_place(model, batch):
    layer = model.decoder.stages[2].norm2
    found = activation(model, *batch, 1, layer)
    chosen = predicted(model, *batch, 1)
    seen = []
    # What follows works on a clone, so that the layer's own output stays.
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output) or output.clone())
    (gradient,) = torch.autograd.grad((model(*batch)[:, 1] * chosen).sum(), seen)
    weighted = (gradient.mean((2, 3), keepdim=True) * seen[0]).sum(1).clamp(min=0).detach().numpy()
    np.testing.assert_allclose(found, scale_cam_image(scale_cam_image(weighted, (64, 64))), atol=1e-4)


def test_a_frozen_encoder_gives_the_same_maps(model, batch):
    expected = [activation(model, *batch, 2, layer) for layer in explained_layers(model).values()]
    model.encoder.requires_grad_(False)
    found = [activation(model, *batch, 2, layer) for layer in explained_layers(model).values()]
    np.testing.assert_array_equal(found, expected)


def test_the_network_is_left_as_it_was(model, batch):
    model.train()
    model.encoder.eval().requires_grad_(False)
    model(*batch).sum().backward()
    before = copy.deepcopy(model)  # which leaves the gradients out
    gradients = [None if parameter.grad is None else parameter.grad.clone() for parameter in model.parameters()]
    class_activations(model, *batch, CLASSES)
    assert [module.training for module in model.modules()] == [module.training for module in before.modules()]
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
    for mine, theirs in zip(model.parameters(), before.parameters(), strict=True):
        assert mine.requires_grad == theirs.requires_grad
        assert torch.equal(mine, theirs)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert (parameter.grad is None) == (gradient is None)
        assert gradient is None or torch.equal(parameter.grad, gradient)


def test_dropout_has_no_say(model, batch):
    expected = class_activations(model, *batch, CLASSES)
    found = class_activations(model.train(), *batch, CLASSES)
    for method in METHODS:
        for heading, maps in expected[method].items():
            np.testing.assert_array_equal(found[method][heading], maps)


def test_inference_mode_around_it_is_no_hindrance(model, batch):
    expected = activation(model, *batch, 1, model.encoder.stages[5])
    with torch.inference_mode():
        images, content = (tensor.clone() for tensor in batch)
        found = activation(model, images, content, 1, model.encoder.stages[5])
    np.testing.assert_array_equal(found, expected)


def test_one_picture_gives_what_it_gives_among_others(model, batch):
    together = class_activations(model, *batch, CLASSES)
    alone = class_activations(model, batch[0][:1], batch[1][:1], CLASSES)
    for method in METHODS:
        assert list(alone[method]) == [(1, "bottleneck"), (1, "decoder"), (2, "bottleneck"), (2, "decoder")]
        for heading, (found,) in alone[method].items():
            np.testing.assert_allclose(found, together[method][heading][0], atol=1e-4)


def test_without_bars_all_is_content(model, batch):
    everywhere = torch.ones_like(batch[1])
    expected = activation(model, batch[0], everywhere, 1, model.encoder.stages[5])
    np.testing.assert_array_equal(activation(model, batch[0], None, 1, model.encoder.stages[5]), expected)


def test_a_class_that_is_not_predicted_has_no_map(model, batch):
    with torch.no_grad():
        model.head.bias[1] = -1000
    maps = class_activations(model, *batch, CLASSES)["gradcam"]
    assert maps[1, "bottleneck"] == maps[1, "decoder"] == [None, None, None]
    assert all(one is not None for one in maps[2, "decoder"])


def test_pixels_of_bars_explain_nothing(model, batch):
    content = batch[1].clone()
    content[2] = False
    with torch.no_grad():
        model.head.bias[1] = 1000
    maps = class_activations(model, batch[0], content, CLASSES)["gradcam"]
    assert [one is None for one in maps[1, "decoder"]] == [False, False, True]
    assert maps[2, "decoder"] == [None, None, None]
