"""The real services that the tests run against, each started once for a run of the tests.

A fixture of `plugin` asks for its service by `obtain.service`. The first to ask, of all the
workers of pytest-xdist, starts a keeper: a process that holds the service and ends it when the
test process asks or is gone, however it went. Nothing outlives the run.

To add a service: a module with a context manager `running(directory)` that yields what its users
must know, as a frozen dataclass of strings, and a line in `SERVICES` of `keeper`.
"""
