"""What is handed in and where output goes: paths, texts, YAML, folders that are written to."""
