a = 1
break
b = 2
