"""The widgets: one Python class per file, with the same file name in the front end."""
