"""edgecl as a service of systemd: its units, how they come to be installed, and how the service is doing."""
