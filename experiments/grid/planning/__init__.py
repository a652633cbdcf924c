"""What the grid of an ablation is: its variants, resolved, checked and written down."""
