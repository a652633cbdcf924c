"""What both phases stand on: networks, configuration, the training loop, checkpoints."""
