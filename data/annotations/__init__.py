"""Mask formats: reading their files, and deciding once for a whole set what their values mean."""
