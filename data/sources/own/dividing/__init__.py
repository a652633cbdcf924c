"""Who belongs to which split: settings, files of lists, and tags."""
