"""The runner: carries queued jobs to providers and brings every picture home exactly once.

========== ==========================================================================
loop       the engine thread with its asyncio loop
hub        wakes whoever follows the change feed (own commits, doorbell, 500 ms net)
runner     claims jobs, takes over those of dead processes, hears of cancels, closes gracefully
execute    one job from claim to end: the paid-call protocol, its events and recovery
landing    one finished picture: door, file, what its row will say
prepare    the request of a job; how an open attempt of an earlier worker goes on
endings    every way in which a job ends or waits for another try
progress   progress and previews of one job, coalesced
waiting    waits for a provider that a stop from outside can cut, and only those
retry      back-off with full jitter; the circuit of a provider
pulse      coalesced work of the runner itself
executor   threads for blocking work
settings   limits and patience
context    the rooms around a job
failpoints named points at which tests let the process die
========== ==========================================================================

Everything here runs on the engine's loop and knows the store, the media room and the providers
only by their protocols in `workbench.ports`. A running job is one task; a task never blocks.
"""
