"""The headless commands: each a short function over the services, printing to stdout and stderr."""
