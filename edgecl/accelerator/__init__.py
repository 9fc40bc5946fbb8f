"""What the graphs run on here, with how many threads and in which precision: measured once, in processes of their own.

`plan` says what may be tried, `probe` is the process that tries, `measuring` starts it and survives it, `choice`
decides, `remembered` keeps that in the home, `execution` is what follows from it, and `beside` does it all while a
daemon runs. `starts` lets go of an accelerator that ends daemons all the same.
"""
