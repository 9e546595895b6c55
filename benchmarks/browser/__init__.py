"""Figures of the widgets in a real JupyterLab and a real Chromium (PF-1 to 4, 11, 12, 13)."""
