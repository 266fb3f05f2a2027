_base_ = '/etc/passwd'
