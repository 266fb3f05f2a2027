"""Loopwright: the training engine that shows a run, runs it fast, and never loses it."""
