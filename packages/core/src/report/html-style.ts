/** The style of the page: light or dark as the reader prefers, one column on a phone, plain on paper. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --line: #dfe3e8; --text: #17202a; --faint: #5b6673;
  --good: #146c3a; --warning: #8a5300; --bad: #b3212b; --neutral: #2455b8;
  --good-soft: #e3f4ea; --warning-soft: #fcf0d9; --bad-soft: #fce8e8; --neutral-soft: #e6eefb;
  --series-1: #2563c9; --series-2: #c2410c; --series-3: #0f7b6c; --series-4: #9333a8;
  --series-5: #8a6100; --series-6: #c0266d; --series-7: #4a5a68; --series-8: #3f7d20;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f141a; --card: #171e26; --line: #2b3641; --text: #e5eaf0; --faint: #9aa7b4;
    --good: #63cf8f; --warning: #f0b44c; --bad: #ff8a8a; --neutral: #86b2ff;
    --good-soft: #14301f; --warning-soft: #33270f; --bad-soft: #3a1a1d; --neutral-soft: #17263f;
    --series-1: #7aaeff; --series-2: #ff9f66; --series-3: #4fd0bb; --series-4: #d792ea;
    --series-5: #e3bb55; --series-6: #ff86b8; --series-7: #aab8c5; --series-8: #93d46c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere;
}
main { max-width: 68rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.015em; }
h2 { margin: 2.75rem 0 0.9rem; font-size: 1.25rem; letter-spacing: -0.01em; }
h3, caption { margin: 0 0 0.6rem; font-size: 1rem; font-weight: 600; text-align: left; }
p { margin: 0 0 0.8rem; max-width: 46rem; }
.about { margin: 0.4rem 0 0; color: var(--faint); }
.verdict {
  display: flex; gap: 0.7rem; margin: 1.4rem 0 0; max-width: none; padding: 0.85rem 1.1rem;
  border-radius: 10px; font-weight: 600;
}
.card, .figure {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
}
.card { margin: 0 0 1rem; padding: 1.1rem 1.2rem; }
.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 0.8rem;
  margin: 0 0 1rem; padding: 0;
}
.figure { padding: 0.85rem 1.1rem; }
.figure dt { color: var(--faint); font-size: 0.875rem; }
.figure dd { margin: 0; }
.figure .value {
  font-size: 1.55rem; font-weight: 650; line-height: 1.35; font-variant-numeric: tabular-nums;
  letter-spacing: -0.01em;
}
.figure .note { color: var(--faint); font-size: 0.875rem; }
.is-good { color: var(--good); } .is-warning { color: var(--warning); }
.is-bad { color: var(--bad); } .is-neutral { color: var(--neutral); }
.soft.is-good { background: var(--good-soft); } .soft.is-warning { background: var(--warning-soft); }
.soft.is-bad { background: var(--bad-soft); } .soft.is-neutral { background: var(--neutral-soft); }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--neutral); outline-offset: 2px; }
table { width: 100%; border-collapse: collapse; font-size: 0.925rem; overflow-wrap: normal; }
th, td { padding: 0.45rem 0.6rem; text-align: left; vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--faint); font-weight: 600; border-bottom: 1px solid var(--line); }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tbody th { font-weight: 500; }
.right { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bars td.track { width: 55%; min-width: 6rem; vertical-align: middle; }
.bar { display: block; height: 0.8rem; min-width: 2px; border-radius: 3px; background: var(--series-1); }
.chart { min-height: 17rem; }
.note-line { color: var(--faint); font-size: 0.875rem; margin: 0 0 0.5rem; }
details { margin-top: 0.6rem; }
summary { cursor: pointer; color: var(--faint); font-size: 0.875rem; }
details .scroll { max-height: 22rem; overflow: auto; margin-top: 0.5rem; }
.findings { list-style: none; margin: 0; padding: 0; }
.findings > li { border-left: 4px solid currentColor; }
.findings > li > * { color: var(--text); }
.findings h3 { display: flex; flex-wrap: wrap; gap: 0.3rem 0.6rem; align-items: baseline; }
.findings h3:last-child, .findings p:last-child { margin-bottom: 0; }
.tag {
  padding: 0.05rem 0.5rem; border-radius: 999px; font-size: 0.78rem; font-weight: 600;
}
.findings .tag.is-bad { color: var(--bad); } .findings .tag.is-warning { color: var(--warning); }
.findings .tag.is-neutral { color: var(--neutral); }
pre {
  margin: 0; padding: 0.8rem 0.95rem; overflow-x: auto; border-radius: 8px; tab-size: 2;
  background: var(--page); border: 1px solid var(--line);
}
pre + p, p + pre { margin-top: 0.6rem; }
code { font: 0.85rem/1.5 var(--mono); overflow-wrap: normal; }
.uplot, .u-legend { font-family: inherit; }
.u-legend { text-align: left; font-size: 0.875rem; width: auto; }
.u-legend tr + tr > * { border-top: 0; }
.u-legend th, .u-legend td { padding: 0.1rem 0.3rem; }
.u-legend .u-marker { border-radius: 3px; }
.u-legend.u-inline .u-series { margin-right: 0.8rem; }
.u-legend .u-value { font-variant-numeric: tabular-nums; }
@media (max-width: 40rem) {
  main { padding: 1.5rem 0.9rem 3rem; }
  h1 { font-size: 1.5rem; }
  .figures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .figure .value { font-size: 1.25rem; }
  .card { padding: 0.9rem; }
  .bars td.track { width: 40%; min-width: 4rem; }
}
@media print {
  :root {
    --page: #fff; --card: #fff; --line: #bbb; --text: #000; --faint: #444;
    --good: #0b5a2c; --warning: #6b4000; --bad: #8f121b; --neutral: #123f94;
  }
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  .card, .figure, tr, pre { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
  pre { white-space: pre-wrap; }
  .scroll, details .scroll { overflow: visible; max-height: none; }
  .bar, .soft { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`
