"""What phase 2 learns from pictures without masks, beside those that have one."""
