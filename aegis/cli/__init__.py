"""The `aegis` command: one module per group of commands, each with `register(app)`."""
