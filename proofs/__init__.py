"""Merkle and verification mathematics: what an auditor runs, offline, on the base install (`proofs/SPEC.md`).

Everything here is a pure function of the bytes it is given: no I/O, clock, randomness or log.
"""
