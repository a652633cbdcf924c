"""The figures of an ablation."""
