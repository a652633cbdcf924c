"""The tables of an ablation, and the notes below them."""
