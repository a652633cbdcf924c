"""From a picture to its mask."""
