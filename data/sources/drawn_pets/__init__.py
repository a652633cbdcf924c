"""Drawn cats and dogs."""
