"""From a checked config to parts, in one place and one order."""
