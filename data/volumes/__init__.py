"""Volumes: three-dimensional pictures of medicine.

The axes of a volume are [D, H, W] everywhere: the file's array axes turned to RAS+ (x to the right, y to the front, z
to the head) and reversed, so slice, row, column, as SimpleITK's z, y, x. Spacings and sizes have the same order.
"""
