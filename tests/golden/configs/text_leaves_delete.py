a = dict(__x=1, b=dict(_delete_=True))
c = [dict(_delete_=True,x=1)]
if True:
    h = 1
else:
    g = 2
