"""Runs that Temporal drives: their operations as activities on as many workers as there are.

The journal stays the truth, and `alma.core.decide` what decides. Temporal sees to it that somebody
asks: a workflow for a run, which has no state of its own, and an activity for each step's turn.
"""
