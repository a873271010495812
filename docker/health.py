"""Health of a container, without curl: `health.py relay [URL]` or `health.py chain URL`.

A relay is healthy if `/healthz` answers 200 (default URL: $TOCSIN_HEALTH_URL); a chain, if it tells its chain
id. Exit 0: healthy; 1: not, with the reason; 2: wrong use.
"""

import json
import os
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 3
CHAIN_ID = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).encode()


def relay_is_healthy(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        return bool(answer.status == 200)


def chain_is_healthy(url: str) -> bool:
    request = urllib.request.Request(url, data=CHAIN_ID, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        return "result" in json.load(answer)


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["relay"]:
                healthy = relay_is_healthy(os.environ["TOCSIN_HEALTH_URL"])
            case ["relay", url]:
                healthy = relay_is_healthy(url)
            case ["chain", url]:
                healthy = chain_is_healthy(url)
            case _:
                sys.stderr.write("expected: health.py relay [URL] | chain URL\n")
                return 2
    except (OSError, ValueError) as error:
        sys.stderr.write(f"not healthy: {error}\n")
        return 1
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
