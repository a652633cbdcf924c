"""Files of settings for `--config`; what each is for stands on its first line."""
