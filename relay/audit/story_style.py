"""The style of a story's page: one column, light and dark, legible on a phone and on paper."""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Final

__all__ = ["STYLE", "STYLE_DIGEST"]

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1a1d24; --soft: #596274; --paper: #f7f6f2; --card: #fffefb;
  --line: #dcd9d0; --good: #0c6b45; --goodth: #e2f3ea; --warn: #8a5200; --warnth: #fcefd9; --bad: #a8231c;
  --badth: #fbe6e3; --mark: #23568f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e9e7e1; --soft: #a0a6b3; --paper: #14161b;
  --card: #1c1f26; --line: #343944; --good: #7cd9ac; --goodth: #17352a; --warn: #f3bd72; --warnth: #392a14;
  --bad: #ff9d92; --badth: #431d1a; --mark: #8fbcf0; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 2.2rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .8rem; padding-top: 1.2rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 0 0 .4rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; overflow-wrap: anywhere; }
.sub { color: var(--soft); margin: 0 0 1rem; }
.lead { font: 1.22rem/1.6 Georgia, "Times New Roman", serif; margin: 1.2rem 0 0; }
.pill { display: inline-block; border-radius: 1rem; padding: .12rem .75rem; font-size: .85rem;
  font-weight: 600; border: 1px solid transparent; }
h3 .pill { font-size: .76rem; border-color: var(--line); color: var(--soft); margin-left: .3rem; }
.notice { background: var(--warnth); border-left: 4px solid var(--warn); border-radius: .3rem;
  padding: .5rem .8rem; margin: .5rem 0; }
.strong { font-weight: 600; }
.soft { color: var(--soft); } .good { color: var(--good); } .warn { color: var(--warn); }
.bad { color: var(--bad); font-weight: 600; }
.pill.good { background: var(--goodth); } .pill.warn { background: var(--warnth); }
.pill.bad { background: var(--badth); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.1rem;
  margin: .9rem 0; min-width: 0; }
.card .card { background: var(--paper); }
.stamps { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .8rem; }
.stamp { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .8rem .95rem; }
.stamp b { display: block; text-transform: capitalize; color: var(--mark); }
.stamp .when { display: block; font-variant-numeric: tabular-nums; margin: .15rem 0; }
.stamp .whose { display: block; margin-bottom: .35rem; }
.stamp small { color: var(--soft); display: block; line-height: 1.4; }
.scale { width: 100%; height: auto; display: block; margin: .2rem 0 .4rem; }
.scale text { font: 12px system-ui, sans-serif; fill: var(--soft); }
.scale .axis { stroke: var(--line); stroke-width: 2; }
.scale circle { fill: var(--mark); stroke: var(--paper); stroke-width: 2; }
.scale .alarm, .dot.alarm { fill: var(--bad); background: var(--bad); }
.scale .acted, .dot.acted { fill: var(--good); background: var(--good); }
.scale .ended, .dot.ended { fill: var(--soft); background: var(--soft); }
.scale .refused, .dot.refused { fill: var(--warn); background: var(--warn); }
.marks { list-style: none; margin: .4rem 0 1.4rem; padding: 0 0 0 .3rem; }
.marks li { position: relative; padding: 0 0 .75rem 1.5rem; border-left: 2px solid var(--line);
  overflow-wrap: anywhere; }
.marks li:last-child { padding-bottom: .1rem; }
.dot { position: absolute; left: -.45rem; top: .42rem; width: .75rem; height: .75rem; border-radius: 50%;
  background: var(--mark); border: 2px solid var(--paper); box-sizing: content-box; }
.marks time { color: var(--soft); font-size: .88rem; font-variant-numeric: tabular-nums; display: block; }
.marks small { color: var(--soft); display: block; }
code, pre { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { overflow-wrap: anywhere; white-space: pre-wrap; }
pre { margin: .5rem 0; padding: .6rem .8rem; border-radius: .4rem; background: var(--paper);
  border: 1px solid var(--line); white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: minmax(7.5rem, max-content) 1fr; gap: .25rem 1rem;
  margin: .6rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
ul { margin: .5rem 0; padding-left: 1.2rem; }
li { margin: .3rem 0; overflow-wrap: anywhere; }
bdi { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .42rem .9rem .42rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; min-width: 5rem; max-width: 24rem; }
th { color: var(--soft); font-weight: 500; }
footer { margin-top: 3rem; color: var(--soft); font-size: .88rem; }
@media (max-width: 40rem) { main { padding: 1.2rem 1rem 3rem; } h1 { font-size: 1.5rem; }
  .lead { font-size: 1.1rem; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .45rem; }
  thead { display: none; } table, tbody, tr, td { display: block; max-width: none; }
  tr { border-bottom: 1px solid var(--line); padding: .4rem 0; } td { border: 0; padding: .1rem 0; }
  td:empty { display: none; }
  .scale text { font-size: 22px; } .scale .between { display: none; }
  td[data-name]::before { content: attr(data-name) ": "; color: var(--soft); font-weight: 400; } }
@media print { :root { --ink: #000; --soft: #444; --paper: #fff; --card: #fff; --line: #bbb; }
  body { font-size: 10pt; } main { max-width: none; padding: 0; } h2 { break-after: avoid; }
  .stamp, .marks li, tr { break-inside: avoid; } .card { padding: .6rem .8rem; }
  .dot, .pill { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""
STYLE_DIGEST: Final = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
"""For the page's own content security policy: this style and nothing else."""
