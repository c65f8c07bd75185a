"""The worker: the one process that loads models. It claims jobs, does them, and publishes what it made."""
