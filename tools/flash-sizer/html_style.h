// html_style.h: the style sheet of the HTML report: light, dark, and paper.
//
// Nothing is loaded from elsewhere. Thread: any.
#pragma once

#include <string_view>

namespace flash::tools::sizer {

inline constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark;
  --back: #ffffff; --panel: #f6f7f9; --ink: #1b1f24; --quiet: #5b6470; --rule: #d9dde3;
  --cold: #2f6fde; --hot: #e0702c; --fixed: #a4acb8; --band: #2f6fde33;
  --good: #1a7f4b; --bad: #b3261e; --open: #8a6100; }
@media (prefers-color-scheme: dark) { :root {
  --back: #14171c; --panel: #1d2128; --ink: #e8eaee; --quiet: #9aa4b2; --rule: #343b46;
  --cold: #6ea2ff; --hot: #ff9a5c; --fixed: #6f7987; --band: #6ea2ff33;
  --good: #5ad19a; --bad: #ff8a80; --open: #f0c454; } }
@media print { :root { color-scheme: light;
  --back: #ffffff; --panel: #ffffff; --ink: #000000; --quiet: #444444; --rule: #bbbbbb;
  --cold: #2f6fde; --hot: #e0702c; --fixed: #a4acb8; --band: #2f6fde33;
  --good: #1a7f4b; --bad: #b3261e; --open: #8a6100; }
  body { font-size: 10pt; } section { break-inside: avoid; }
  main { padding: 0; max-width: none; } * { print-color-adjust: exact; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 2px; }
h2 { font-size: 17px; margin: 0 0 10px; }
p { margin: 0 0 10px; max-width: 78ch; }
.good { color: var(--good); } .bad { color: var(--bad); } .open { color: var(--open); }
.lead { font-size: 18px; margin: 6px 0 10px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px;
  margin: 18px 0; padding: 0; }
.figures div { background: var(--panel); border: 1px solid var(--rule); border-radius: 8px;
  padding: 10px 14px; }
.figures b { display: block; font-size: 22px; line-height: 1.3; }
.figures span { color: var(--quiet); font-size: 13px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr));
  gap: 0 20px; }
section { background: var(--panel); border: 1px solid var(--rule); border-radius: 8px;
  padding: 16px 18px; margin: 0 0 18px; min-width: 0; }
.scroll { overflow-x: auto; } .bars + .scroll { margin-top: 12px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { text-align: right; padding: 4px 8px; border-bottom: 1px solid var(--rule);
  vertical-align: top; white-space: nowrap; }
th { color: var(--quiet); font-weight: 500; }
td:first-child, th:first-child { text-align: left; padding-left: 0; }
table.lines td { text-align: left; white-space: normal; }
table.lines td:first-child { color: var(--quiet); white-space: nowrap; padding-right: 18px; }
tr:last-child td { border-bottom: 0; }
tr.chosen td { font-weight: 600; }
ul { margin: 0 0 10px; padding-left: 20px; }
svg { display: block; width: 100%; height: auto; } .bars svg { min-width: 680px; }
.halo { paint-order: stroke; stroke: var(--panel); stroke-width: 4px; }
.t { font-size: 12px; fill: var(--ink); } .t.q { fill: var(--quiet); }
.grid { stroke: var(--rule); } .axis { stroke: var(--quiet); }
.line { fill: none; stroke: var(--cold); stroke-width: 2.5; stroke-linejoin: round; }
.band { fill: var(--band); } .dot { fill: var(--cold); }
.dot.marked { fill: var(--back); stroke: var(--cold); stroke-width: 2.5; }
.mark { stroke: var(--quiet); stroke-dasharray: 2 3; }
.level { stroke: var(--hot); stroke-width: 1.5; stroke-dasharray: 6 4; }
.cold { fill: var(--cold); background: var(--cold); }
.hot { fill: var(--hot); background: var(--hot); }
.fixed { fill: var(--fixed); background: var(--fixed); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 8px; padding: 0;
  list-style: none; color: var(--quiet); font-size: 13px; }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 2px;
  margin-right: 6px; vertical-align: -1px; }
.note { border-left: 3px solid var(--open); padding-left: 12px; }
footer { color: var(--quiet); font-size: 13px; }
)css";

}  // namespace flash::tools::sizer
