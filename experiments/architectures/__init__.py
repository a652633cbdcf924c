"""What the networks of an ablation's variants are made of, and what they take to compute."""
