"""What the encoder's features know."""
