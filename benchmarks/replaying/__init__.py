"""Replays of an advice: a user's situation made from a public data set, and whether what was advised was right."""
