"""Trained networks written for other programs."""
