"""The protocol as pure values and state machines: no I/O, no clock, no chance, no logging (SPEC.md)."""
