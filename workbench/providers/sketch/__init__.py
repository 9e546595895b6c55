"""The built-in provider ``sketch``: a procedural painter, not a neural model."""
