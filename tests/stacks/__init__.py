"""Tests of the ready stack programs."""
