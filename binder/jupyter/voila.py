"""Read by Voilà's server extension: a page that is left or reloaded ends its kernel."""

from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler

from workbench.jupyter.voila_server import Leave

# Voilà asks for a token that its own page has no way to send; what is asked for instead is there.
VoilaShutdownKernelHandler.check_xsrf_cookie = Leave.check_xsrf_cookie
