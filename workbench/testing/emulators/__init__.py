"""Servers that speak like providers, for tests of dialects: real sockets, faults on demand.

`workbench.testing.emulators.server` has the server, its faults and its book of charges;
`workbench.testing.emulators.openai` speaks OpenAI's images dialect. They listen on 127.0.0.1 only.
"""
