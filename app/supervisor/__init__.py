"""What `python -m app` runs: the embedded server, the workers and the API, as one."""
