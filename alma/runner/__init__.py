"""Making runs: what a script, a test or another tool calls."""

from alma.runner.resume import resume, rollback
from alma.runner.settings import Settings
from alma.runner.signals import interrupt
from alma.runner.start import destroy, run_sync, up

__all__ = ["Settings", "destroy", "interrupt", "resume", "rollback", "run_sync", "up"]
