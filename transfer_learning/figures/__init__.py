"""Figures of phase 2."""
