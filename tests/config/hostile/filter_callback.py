x = list(filter(open, ["/etc/passwd"]))
