"""What the JSON of an ablation amounts to: statistics, tables and the curve."""
