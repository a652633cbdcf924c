"""One's own pictures: listing them, finding their masks, splits and tags."""
