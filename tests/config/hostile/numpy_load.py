from numpy import load
x = load("a.npy")
