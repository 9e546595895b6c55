"""One file or folder for each provider; all of them are plugins of `workbench.providers`."""
