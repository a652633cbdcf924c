"""Phase 1: an encoder learns from pictures alone, by restoring them."""
