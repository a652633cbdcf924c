"""What is done to a picture's probabilities and classes after the network."""
