x = compile("1", "a", "eval")
