"""Augmentation of pictures, labels and content."""
