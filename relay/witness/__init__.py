"""Witnessing: cosigning every member's log, one history each (SPEC.md of this folder)."""
