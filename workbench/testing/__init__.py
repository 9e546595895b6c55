"""Fakes for plugin authors and for this project's own tests of failure.

`workbench.testing.providers` has a provider that plays a script, and an emulated paid service whose
charges survive any crash of its client. `workbench.testing.pictures` makes small valid images
without an imaging library.
"""
