"""From archives to batches: preparing pictures and masks, reading and augmenting them."""
