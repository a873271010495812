"""The relay network: the pure protocol in `relay.core`, its shells, `relay.app` and `relay.cli` on top."""
