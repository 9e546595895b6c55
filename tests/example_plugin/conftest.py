"""Image-workbench's own test run comes by here, and has the package not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("workbench_harmonograph") else ["tests"]
