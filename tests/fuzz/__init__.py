"""Mutation of everything that the commands read: thousands of damaged inputs, and what became of each.

`make fuzz` runs it. A case is named by its target and a number, and comes out the same whenever it is run again:

    PYTHONPATH=.:tests python -m fuzz --case weights:123

`targets` says what is damaged and which command reads it, `damage` how, `judge` what may come of it.
"""
