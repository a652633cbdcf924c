"""Scores of phase 2."""
