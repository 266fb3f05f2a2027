_base_ = open('/etc/passwd').read()
