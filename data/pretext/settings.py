"""Names of what can be predicted, without torch: settings read them."""

from typing import Literal

PretextName = Literal["reconstruct", "denoise", "mask", "distil"]
Target = Literal["pixels", "normalised", "hog"]
