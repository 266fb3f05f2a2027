x = type("A", (), {})
