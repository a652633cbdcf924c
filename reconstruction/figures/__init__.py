"""Figures of phase 1."""
