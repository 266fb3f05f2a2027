import subprocess
a = subprocess.check_output(["id"])
