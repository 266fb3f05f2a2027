"""A lazy config beside a test."""

model = {"width": 5}
