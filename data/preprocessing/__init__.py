"""What is done to the intensities of pictures before anything learns from them: `--preprocess` of a preparation."""
