"""Losses of phase 2."""
