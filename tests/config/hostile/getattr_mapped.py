x = list(map(getattr, [[1]], ["__class__"]))
