"""From samples to the processed folder."""
