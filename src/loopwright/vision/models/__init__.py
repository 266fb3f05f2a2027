"""Small vision models of our own, and thin wrappers of others' by name."""
