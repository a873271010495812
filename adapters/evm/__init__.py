"""EVM chains (CAIP-2 namespace `eip155`)."""

from adapters.evm.adapter import adapter

__all__ = ["adapter"]
