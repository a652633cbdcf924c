"""Prepared data on disk: arrays, the fingerprint, the form of before, and what a split lacks."""
