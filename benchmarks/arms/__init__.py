"""What the benchmarks time: every arm is a function that does one round of work."""
