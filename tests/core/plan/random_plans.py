"""Legal plans by chance, as tables and as TOML: what a plan may say, in every combination that is drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hypothesis import strategies as st

Tables = dict[str, object]
CHAINS = ("sim:home", "sim:away", "sim:third")
TARGETS = ("vault", "0xABcd", "pool.eth")
_WORDS = st.text("abcdefgh", min_size=1, max_size=6)
_FAULTS = st.sampled_from(["false", "trigger"])


def to_toml(value: object) -> str:
    """Give a value in TOML; a table inline."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {to_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(to_toml(inner) for inner in value) + "]"
    return json.dumps(value)


def text_of(plan: Tables) -> str:
    """Give a plan file with everything on a line of its own."""
    return "".join(f"{json.dumps(key)} = {to_toml(value)}\n" for key, value in plan.items())


def seconds(least: int, most: int) -> st.SearchStrategy[str]:
    """Give durations as a file has them."""
    return st.integers(least, most).map(lambda each: f"{each}s")


def some(required: Mapping[str, object], optional: Mapping[str, object]) -> st.SearchStrategy[Tables]:
    """Give tables with all of the first keys and some of the others; a value may be a strategy."""

    def strategy(value: object) -> st.SearchStrategy[object]:
        return value if isinstance(value, st.SearchStrategy) else st.just(value)

    return st.fixed_dictionaries(
        {key: strategy(value) for key, value in required.items()},
        optional={key: strategy(value) for key, value in optional.items()},
    )


def _windowed(table: Tables, window: tuple[str, object] | None) -> Tables:
    return table if window is None else {**table, window[0]: window[1]}


_WINDOWS = st.none() | st.one_of(
    st.tuples(st.just("window"), seconds(1, 90 * 86_400)),
    st.tuples(st.just("window_blocks"), st.integers(1, 100_000)),
)
_SCALE = {"scale": st.integers(0, 77), "price": st.integers(1, 10**18)}
_COMMON = {"on_fault": _FAULTS, "unit": st.sampled_from(["", "USD", "10^-6 tokens"])}


def _event(read: str, chain: st.SearchStrategy[str]) -> st.SearchStrategy[Tables]:
    has_weight = read in ("event_sum", "event_max")
    key = some({"name": _WORDS}, _SCALE if has_weight else {})
    grouped: Tables = {"keys": st.dictionaries(_WORDS, key, max_size=3).filter(_names_differ)}
    if read != "event_distinct":
        grouped["reduce"] = st.sampled_from(["max"] if read == "event_max" else ["max", "sum"])
    if read in ("event_sum", "event_count"):
        grouped["at_least"] = st.integers(1, 9)
    taken: Tables = {"event": "Undone(uint256 amount)"}
    if read == "event_sum":
        taken["value"] = "amount"
    optional: Tables = {
        "where": st.dictionaries(_WORDS, st.booleans() | st.integers() | _WORDS, max_size=2),
        **_COMMON,
    }
    if read in ("event_sum", "event_count"):
        optional["minus"] = st.just(taken)
    if has_weight:
        optional |= _SCALE
    by = st.lists(_WORDS, min_size=1, max_size=4, unique=True)
    required: Tables = {"read": read, "chain": chain, "from": "vault", "event": "Done(uint256 amount)"}
    if read != "event_count":
        required["value"] = "amount"
    plain = some(required, optional)
    return st.builds(_windowed, plain | some({**required, "by": by}, {**optional, **grouped}), _WINDOWS)


def _names_differ(keys: Mapping[str, object]) -> bool:
    names = [table["name"] for table in keys.values() if isinstance(table, dict)]
    return len(set(names)) == len(names)


def _match(chain: st.SearchStrategy[str]) -> st.SearchStrategy[Tables]:
    def both(count: int) -> st.SearchStrategy[Tables]:
        side = {
            "chain": chain,
            "from": "vault",
            "event": "Sent(uint256 id)",
            "key": st.lists(_WORDS, min_size=count, max_size=count, unique=True),
        }
        plain = {"read": "event_unmatched", **side, "against": some(side, {})}
        return some(plain, _COMMON) | some({**plain, "value": "amount"}, {**_SCALE, **_COMMON})

    return st.integers(1, 4).flatmap(both)


def _state(
    read: str, required: Tables, optional: Tables, chain: st.SearchStrategy[str]
) -> st.SearchStrategy[Tables]:
    plain = some({"read": read, "chain": chain, **required}, {**optional, **_COMMON})
    taken = st.tuples(_WINDOWS.filter(bool), st.sampled_from(["first", "min", "max", "mean"]))
    return plain | st.builds(lambda table, over: {**_windowed(table, over[0]), "take": over[1]}, plain, taken)


_NUMBER = st.booleans() | st.integers(-(1 << 255), (1 << 256) - 1) | st.integers(0, (1 << 256) - 1).map(hex)


def _metrics(chains: tuple[str, ...]) -> st.SearchStrategy[Tables]:
    chain = st.sampled_from(chains)
    scaled = {"scale": st.integers(0, 77), "equals": _NUMBER}
    call = {
        "from": "oracle",
        "call": "price()",
        "args": st.lists(_WORDS | st.integers() | st.booleans(), max_size=3),
    }
    slot = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
    kinds = [
        *(_event(read, chain) for read in ("event_sum", "event_count", "event_max", "event_distinct")),
        _match(chain),
        _state("call", call, {**scaled, "word": st.integers(0, 255)}, chain),
        _state("call", call, {**scaled, "path": st.sampled_from(["price", "rows[2].debt", "[0]"])}, chain),
        _state("storage", {"from": "vault", "slot": slot}, {**scaled, "offset": st.integers(0, 31)}, chain),
        _state("balance", {"of": "vault"}, {**scaled, "token": "token"}, chain),
        _state("supply", {"from": "token"}, scaled, chain),
        _state("code_hash", {"from": "vault", "equals": _NUMBER}, {}, chain),
        _state("oracle", {"from": "feed"}, {"scale": st.integers(0, 77)}, chain),
        some(
            {"read": "plan", "plan": chain.map(lambda name: f"{name}:other")},
            {"acts": st.lists(_WORDS, max_size=3, unique=True), **_COMMON},
        ),
        some({"read": "disagreement", "chain": chain}, _COMMON),
        *([some({"read": "silence", "chain": st.sampled_from(chains[1:])}, _COMMON)] if chains[1:] else []),
    ]
    return st.dictionaries(_WORDS.map(lambda word: f"m_{word}"), st.one_of(kinds), max_size=5)


def _act(chains: tuple[str, ...], tier: str) -> st.SearchStrategy[Tables]:
    return some(
        {
            "verb": st.sampled_from(["pause", "cap", "lock", "failover", "drill"]),
            "chain": st.sampled_from(chains),
            "target": st.sampled_from(TARGETS),
            "call": "do()",
            "state": _WORDS,
            "value": st.booleans() | st.integers(0, (1 << 256) - 1),
            "undo": "undo()",
            "tier": tier,
            "lasts": seconds(7_200, 86_400),
        },
        {
            "compare": st.sampled_from(["=", "<=", ">="]),
            "gas": st.integers(1, 30_000_000),
            "state_word": st.integers(0, 255),
            "state_target": st.sampled_from(TARGETS),
        },
    )


def _rest(fast: list[str], full: list[str]) -> Mapping[str, object]:
    numbers = st.dictionaries(
        _WORDS.map(lambda word: f"l_{word}"), st.integers(-(1 << 63), (1 << 63) - 1), max_size=3
    )
    rung = st.just([fast[:1]])
    ladder = st.sampled_from(
        [[fast], [[name] for name in fast], [fast, full], [full[:1], full[1:]] if full[1:] else [full]]
    )
    key = st.binary(min_size=32, max_size=32).map(lambda raw: "ed25519:" + raw.hex())
    return {
        "limits": numbers,
        "rules": st.dictionaries(
            _WORDS,
            some(
                {"when": "true", "ladder": ladder},
                {"hold": st.integers(1, 300), "step": seconds(1, 600), "rearm": seconds(1_800, 3_600)},
            ),
            max_size=3,
        ),
        "release": some(
            {"when": "false"},
            {"hold": st.integers(300, 10_000), "stages": st.sampled_from([[], [fast, full], [full[:1]]])},
        ),
        "budget": some(
            {}, {"window": seconds(30 * 86_400, 60 * 86_400), "fast_records": st.integers(1, 1_000)}
        ),
        "listen": st.lists(
            some(
                {"plan": "far:chain:gateway", "shares": _WORDS, "when": "true", "ladder": rung},
                {"max_hops": st.integers(1, 8), "records": st.integers(1, 9)},
            ),
            max_size=3,
            unique_by=lambda link: str(link["shares"]),
        ),
        "reports": st.lists(
            some(
                {
                    "name": _WORDS,
                    "reporters": st.lists(key, min_size=2, max_size=3, unique=True),
                    "need": st.integers(1, 2),
                    "ladder": rung,
                },
                {"when": "true"},
            ),
            max_size=2,
            unique_by=lambda each: str(each["name"]),
        ),
    }


def _chain(name: str, *, is_reference: bool) -> st.SearchStrategy[Tables]:
    lag: Tables = {} if is_reference else {"lag_s": st.integers(1, 99)}
    return some({"gateway": name, "since": st.integers(0, 9), "targets": list(TARGETS), **lag}, {})


def _plans_of(chains: tuple[str, ...]) -> st.SearchStrategy[Tables]:
    fast, full = ["stop", "slow"], ["close", "shut"]
    tiers = {**dict.fromkeys(fast, "fast"), **dict.fromkeys(full, "full")}
    tables = {name: _chain(name, is_reference=name == chains[0]) for name in chains}
    return some(
        {
            "format": "tocsin/plan/1",
            "protocol": "by-chance",
            "version": st.integers(1, 9),
            "reason": "chance",
            "contacts": st.lists(_WORDS, max_size=2, unique=True),
            "clock": some(
                {"reference": chains[0]}, {"every": st.integers(1, 9), "patience_s": st.integers(1, 999)}
            ),
            "chains": some(tables, {}),
            "metrics": _metrics(chains),
            "acts": some({name: _act(chains, tier) for name, tier in tiers.items()}, {}),
        },
        _rest(fast, full),
    )


def legal_plans() -> st.SearchStrategy[Tables]:
    """Give the tables of plans that the parser must take."""
    return st.integers(1, 3).flatmap(lambda count: _plans_of(CHAINS[:count]))
