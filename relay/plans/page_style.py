"""The style of a plan's page: one column, light and dark, legible on a phone and on paper."""

from __future__ import annotations

import base64
from hashlib import sha256

__all__ = ["STYLE", "STYLE_DIGEST"]

STYLE = """
:root { color-scheme: light dark; --ink: #1b2130; --soft: #5a6478; --paper: #fbfbf9; --card: #ffffff;
  --line: #dfe2e8; --mark: #1d5fbf; --warm: #8a4b00; --warmth: #fdf1e0; --calm: #0b6b4f; --calmth: #e4f5ee; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ee; --soft: #9aa4b8; --paper: #12151c;
  --card: #1a1f29; --line: #2e3645; --mark: #7db2ff; --warm: #ffc27a; --warmth: #3a2a14; --calm: #7fdcb8;
  --calmth: #14352a; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 50rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .8rem; padding-top: 1.1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; overflow-wrap: anywhere; }
.lead { font-size: 1.12rem; }
.soft { color: var(--soft); }
.head { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem .8rem; margin-bottom: 1rem; }
.pill { border-radius: 1rem; padding: .1rem .7rem; font-size: .85rem; font-weight: 600; white-space: nowrap; }
.armed { background: var(--warmth); color: var(--warm); }
.shadow { background: var(--calmth); color: var(--calm); }
.tier { border: 1px solid var(--line); color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .8rem;
  margin: 1.4rem 0; }
.figure, .card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .9rem 1rem; }
.figure b { display: block; font-size: 1.35rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.figure span { color: var(--soft); font-size: .88rem; line-height: 1.35; display: block; margin-top: .2rem; }
.card { margin: .8rem 0; }
.metric { margin: 1rem 0; }
.metric p { margin: .15rem 0; }
code, pre { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { overflow-wrap: anywhere; }
pre { margin: .5rem 0; padding: .6rem .8rem; border-radius: .4rem; background: var(--paper);
  border: 1px solid var(--line); white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: minmax(7.5rem, max-content) 1fr; gap: .25rem 1rem;
  margin: .6rem 0 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
ol, ul { margin: .5rem 0; padding-left: 1.3rem; }
li { margin: .25rem 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .8rem .45rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 500; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
a { color: var(--mark); }
footer { margin-top: 3rem; color: var(--soft); font-size: .88rem; }
@media (max-width: 34rem) { main { padding: 1.2rem 1rem 3rem; } h1 { font-size: 1.5rem; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .45rem; } table { font-size: .88rem; } }
@media print { body { background: #fff; color: #000; } .card, .figure { break-inside: avoid; } }
"""
STYLE_DIGEST = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
"""For the page's own content security policy: this style and nothing else."""
