def text(name):
    with open(name) as file:
        return file.read()
x = text("/etc/passwd")
