"""Threshold keys and signatures: groups, FROST, the ceremony, signing sessions (see SPEC.md). Pure."""
