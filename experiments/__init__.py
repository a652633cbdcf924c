"""Comparing runs: tables, and the ablations to come."""
