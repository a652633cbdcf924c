"""The grid of an ablation: its plan, its processes, and the JSON that finished runs leave."""
