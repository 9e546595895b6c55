"""Other people's job queues beside ours, on demand: ``python -m benchmarks.peers NAME …``."""
