x = "\t\t\t".expandtabs(10**9)
