_base_ = '../x::a.py'
