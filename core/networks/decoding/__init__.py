"""What stands behind an encoder: the modules of decoders, attention, refinement, and sizes that fit."""
