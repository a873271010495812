"""What auditors do with logs and bundles: read, follow, mirror, compare, and tell the story (SPEC.md)."""
