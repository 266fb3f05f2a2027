import pickle
x = pickle.loads(b"")
