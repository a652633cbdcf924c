"""Phase 2: a pretrained encoder inside a segmentation network."""
