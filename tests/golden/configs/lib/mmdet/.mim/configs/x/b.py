frombase=dict(type='FB', x=dict(type='F2'))
