"""``loopwright val``: validate a checkpoint with the validation part of a config."""

from loopwright.cli.evaluate import evaluating

command = evaluating("val", "Validate a checkpoint as CONFIG says, and print the metrics.")
