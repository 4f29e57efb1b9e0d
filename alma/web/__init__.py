"""The pages in the browser: what the journal says of runs, and the ways on from there."""
