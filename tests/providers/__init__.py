"""Stand-ins for provider plugins that come from no package registry: test equipment.

`base` says how one is written, `plugin` puts them on PATH for the tests. A stand-in `<name>` is a
package `tests.providers.<name>` with a `PROVIDER` and a `__main__` that serves it.
"""
