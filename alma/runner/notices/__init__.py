"""Notices: told beside a run, and by any later command, from what the journal says is owed."""
