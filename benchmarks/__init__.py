"""Benchmarks: programs that measure, print medians and ratios, and judge nothing by the clock.

``python -m benchmarks`` runs the figures; ``python -m benchmarks.peers NAME`` runs other people's
queues beside ours.
"""
