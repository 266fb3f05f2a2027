_base_='base.py'
model=dict(_delete_=True, a=1, b=dict(_delete_=True, c=1))
new = dict(_delete_=True, q=1)
lst = dict(_delete_=True, z=2)
optimizer=dict(lr=dict(_delete_=True, a=1))
