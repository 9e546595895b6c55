"""The runner: carries queued jobs to providers and brings every picture home exactly once.

========== ==========================================================================
loop       the engine thread with its asyncio loop
hub        wakes whoever follows the change feed (own commits, doorbell, 500 ms net)
runner     claims jobs, takes over those of dead processes, hears of cancels, closes gracefully
execute    one job from claim to end: the paid-call protocol and its recovery
landing    one finished picture: door, file, transaction, or late result
progress   coalesced progress and previews of one job
retry      back-off with full jitter; the circuit of a provider
executor   threads for blocking work
failpoints named points at which tests let the process die
========== ==========================================================================

Everything here runs on the engine's loop and knows the store, the media room and the providers
only by their protocols in `workbench.ports`. A running job is one task; a task never blocks.
"""
