"""Data sets: a file each, and the table that lists them."""
