_base_ = './self_includ.py'
