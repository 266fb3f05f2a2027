_base_ = ['base_b_only.yaml']

import copy
import os.path as osp

root = osp.join('data', 'coco')
steps = [8, 11]
lr = 0.02 * 4 / 16
names = [f'c{i:02d}' for i in range(4) if i % 2]
table = {name: dict(id=i, last=i == len(names) - 1) for i, name in enumerate(names)}
aug = []
for size in ((320, 640), (480, 960)):
    if size[0] > 400:
        aug.append(dict(type='Resize', scale=size, ratio=size[1] / size[0]))
    else:
        aug += [dict(type='Small', scale=tuple(reversed(size)))]
first = copy.deepcopy(aug)
first[0]['scale'] = (1, *first[0]['scale'][1:])
model = dict(type='A', head=dict(num=len(names)), **dict(extra=None))
model.update(dict(head=dict(new=1)), neck=dict(type='B'))
model['head']['lr'] = lr
a, (b, *c) = 1, (2, 3, 4)
words = 'x_{}_{name}'.format(a, name='n') + '%d/%s' % (b, 'q') + ','.join(w for w in ['u', 'v'])
flag = True if 'coco' in root and not a > b else None
numbers = dict(i=-3 // 2, p=2**10, m=7 % 4, r=round(2.675, 2), s=sum([1, 2, 3]), x=max(1, 9), e=1e-3)
names_set = {'b', 'a'}
empty = dict()
_private = 1
__hidden = 2
