"""The relay network: the pure protocol in `relay.core`, its shells beside it, `relay.app` and `relay.cli` on top."""
