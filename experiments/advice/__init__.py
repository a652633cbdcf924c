"""What `experiments.advise` is made of: choices from data and machine, the trainings, what their folds say."""
