"""Annotations as labelling tools keep them: a file a format, each with its reader and its writer."""
