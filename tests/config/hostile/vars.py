x = vars(dict())
