"""Chains as guests: one package each, found by the entry point group `tocsin.adapters`.

Nothing here is named in `relay`.
"""
