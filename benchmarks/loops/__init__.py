"""What is timed: our loop, a practitioner's, and those of other libraries, as their documentation writes them."""
