"""All modules of the project, imported: what the process of a case begins with, since that takes longer than most."""

import pkgutil
from importlib import import_module

import cv2
import jinja2
import sklearn.decomposition
from PIL import Image

import core
import data
import experiments
import reconstruction
import transfer_learning

for package in (core, data, reconstruction, transfer_learning, experiments):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        import_module(found.name)
Image.init()

__all__ = ["cv2", "jinja2", "sklearn"]
