"""What an advice says and hands out: its sentences, the final model, masks, the page."""
