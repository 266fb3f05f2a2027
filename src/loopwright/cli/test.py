"""``loopwright test``: test a checkpoint with the test part of a config."""

from loopwright.cli.evaluate import evaluating

command = evaluating("test", "Test a checkpoint as CONFIG says, and print the metrics.")
