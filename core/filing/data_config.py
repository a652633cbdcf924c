"""The settings of whatever trains or scores on prepared data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class DataConfig:
    """Where prepared data lie, and what may be done with them."""

    data_dir: Path = Path("data/processed")
    """Folder that `python -m data.prepare` made."""
    cache_dir: Path | None = None
    """Where arrays of the pictures go if they cannot be written into --data_dir (read-only data). Left out:
    $XDG_CACHE_HOME/ae_pretrained, or ~/.cache/ae_pretrained."""
    allow_seen: bool = False
    """Go on where weights that are scored, or that a run begins with (--pretrained_encoder, --init_weights), were
    trained on pictures of this Val or Test, which is refused otherwise; results say so. Go on where pictures of Train
    that are learned from without their masks lie in Val or Test too."""

    def data_settings(self) -> dict[str, Any]:
        """Return the data's folder, and what else of these settings was given, for a command that calls another."""
        given = {"cache_dir": self.cache_dir, "allow_seen": self.allow_seen}
        return {"data_dir": self.data_dir, **{name: value for name, value in given.items() if value}}
