a = {{'$LOOPWRIGHT_NOT_SET:__import__("os").system("true")'}}
