"""The daemon: cameras in processes of their own, one thread that owns the memory, a worker that learns."""
