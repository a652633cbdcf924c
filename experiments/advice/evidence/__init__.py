"""What the folds of an advice say: scores, differences, forecasts, and what other data sets add."""
