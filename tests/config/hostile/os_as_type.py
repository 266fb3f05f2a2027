import os
hook = dict(type=os.system, command="true")
