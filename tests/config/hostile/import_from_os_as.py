from os import system as dict
model = dict(type="A")
