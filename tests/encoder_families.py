"""Encoders by family, for tests that try one of each."""

SMALL = "lcnet_050"
# One a family, the smallest, and whether it can dilate.
FAMILIES = {
    "unet": True,
    "double_conv": False,
    "lcnet_050": True,
    "resnet18": True,
    "tf_efficientnet_lite0": True,
    "mobilenetv2_035": True,
    "mobilenetv3_small_050": True,
    "regnetx_002": True,
    "convnext_atto": True,
    "mnasnet_050": True,
    "repghostnet_050": False,
    "edgenext_xx_small": False,
}
# What takes seconds each: of the tutorials, and others that people ask for.
MORE_FAMILIES = {
    "resnet34": True,
    "resnet50": True,
    "resnet101": True,
    "vgg16_bn": False,
    "vgg19_bn": False,
    "efficientnet_b0": True,
    "tf_efficientnet_lite1": True,
    "tf_efficientnet_lite2": True,
    "mobilenetv2_100": True,
    "mobilenetv3_large_100": True,
    "mobilenetv4_conv_small": True,
    "regnety_002": True,
    "densenet121": False,
    "resnext50_32x4d": True,
    "res2net50_26w_4s": True,
    "rexnet_100": True,
    "cspresnet50": True,
    "ghostnet_100": False,
    "poolformerv2_s12": False,
    "pvt_v2_b0": False,
    "fastvit_t8": False,
}
DILATES = {**FAMILIES, **MORE_FAMILIES, "vgg11_bn": False}
