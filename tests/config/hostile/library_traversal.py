_base_ = 'mmdet::../../../../etc/passwd'
