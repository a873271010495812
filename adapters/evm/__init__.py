"""EVM chains (CAIP-2 namespace `eip155`)."""
