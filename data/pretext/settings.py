"""Names of what can be predicted, without torch: settings read them."""

from typing import Literal

Target = Literal["pixels", "normalised", "hog"]
