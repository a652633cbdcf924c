"""The settings of training on volumes."""

from dataclasses import dataclass

from core.errors import UserError

SMALLEST_PATCH = 8  # voxels of a side, below which a network has nothing to halve
LARGEST_PATCH = 1024
# What changes pictures alone: a patch lies anywhere already, and voxels have no colour.
OF_PICTURES = ("shift", "crop", "saturation", "hue", "cutout", "cutout_size")
OF_VOLUMES = ("elastic", "gamma", "low_resolution", "foreground_patches")


@dataclass(frozen=True)
class PatchConfig:
    """What training on volumes reads: patches of one size, and what changes them besides what changes pictures."""

    patch: int | str | None = None
    """Volumes: train on patches of so many voxels (32, or 16x64x64: depth x height x width), drawn anew each time a
    volume's turn comes."""
    foreground_patches: float = 0.33
    """Volumes: share of the patches that are centred on a voxel of a class that is looked for, each class as often as
    another (a third, as nnU-Net)."""
    elastic: float = 0.0
    """Volumes: largest displacement by a smooth random field, as a share of the patch's shortest side. 0: off."""
    gamma: float = 0.0
    """Volumes: values to the power of a number drawn log-uniformly from 1 / (1 + gamma) to 1 + gamma. 0: off."""
    low_resolution: float = 0.0
    """Volumes: probability that the network's input is brought down to half to full resolution and up again."""

    def __post_init__(self) -> None:
        if self.patch is not None and not all(SMALLEST_PATCH <= side <= LARGEST_PATCH for side in self.patch_sides):
            raise UserError(f"patch {self.patch}: a side has {SMALLEST_PATCH} to {LARGEST_PATCH} voxels")
        if self.patch is not None and getattr(self, "train_crop", None) is not None:
            raise UserError("--train_crop is of pictures, --patch of volumes: leave out the one that your data are not")
        for name, largest in {"foreground_patches": 1, "elastic": 0.5, "gamma": 2, "low_resolution": 1}.items():
            if not 0 <= getattr(self, name) <= largest:
                raise UserError(f"{name}: {getattr(self, name)} is out of range; give 0 (off) to {largest:g}")

    @property
    def patch_sides(self) -> tuple[int, ...]:
        """Depth, height and width of the patches; () without them."""
        return () if self.patch is None else triple_of(self.patch, "patch")

    @property
    def dims(self) -> int:
        """Axes of what is learned from: patches make 3."""
        return 2 if self.patch is None else 3

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        if self.patch is None:
            return dict.fromkeys(OF_VOLUMES, "without --patch")
        return {**dict.fromkeys(OF_PICTURES, "with --patch"), "normalisation": "with --patch: voxels are z-scores"}


def triple_of(size: int | str, what: str) -> tuple[int, int, int]:
    """Return depth, height and width of a size: 32 is a cube, "16x64x64" says each.

    Raises:
        UserError: it is neither.
    """
    sides = [size] if isinstance(size, int) else str(size).lower().split("x")
    try:
        depth, height, width = map(int, sides * 3 if len(sides) == 1 else sides)
    except ValueError:
        raise UserError(f"{what} {size!r}: give 32 for a cube, or 16x64x64 for depth x height x width") from None
    return depth, height, width
