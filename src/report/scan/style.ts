/** Colours of the page, for light and dark. Each text colour has a contrast of at least 4.5 to both backgrounds (WCAG 2.2, 1.4.3). */
export const COLOURS = {
  light: {
    page: '#f7f8fa',
    card: '#ffffff',
    line: '#d5dae1',
    text: '#1c2128',
    mute: '#59636e',
    bad: '#b42318',
    warn: '#8a4b00',
    good: '#1a6b3c',
  },
  dark: {
    page: '#12161b',
    card: '#1a2027',
    line: '#3a434e',
    text: '#e6e9ed',
    mute: '#a2acb8',
    bad: '#ff9c92',
    warn: '#f0b65a',
    good: '#7fd8a0',
  },
} as const;

const variablesOf = (colours: Readonly<Record<string, string>>): string =>
  Object.entries(colours)
    .map(([name, value]) => `--${name}:${value}`)
    .join(';');

/** The style sheet of the page. It names no file and no font that would have to be loaded. */
export const STYLE = `
:root{${variablesOf(COLOURS.light)};color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{${variablesOf(COLOURS.dark)}}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:78rem;padding:2rem 1.25rem 3rem;background:var(--page);color:var(--text);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{margin:0;font-size:1.6rem;letter-spacing:-.01em}
h2{margin:2rem 0 .75rem;font-size:1.1rem}
h3{display:inline;margin:0 .5rem 0 0;font-size:1rem}
header p{margin:.25rem 0 0;color:var(--mute)}
ul{margin:0;padding:0;list-style:none}
small{display:block;color:var(--mute);font-size:.85rem;font-weight:400}
code{font:.85em ui-monospace,monospace}
.unseen{position:absolute;width:1px;height:1px;margin:0;overflow:hidden;clip-path:inset(50%)}
.counts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin-top:1.5rem}
.counts li,section,details{background:var(--card);border:1px solid var(--line);border-radius:.5rem}
.counts li{padding:.75rem 1rem}
.counts b{display:block;font-size:1.6rem;line-height:1.2;font-variant-numeric:tabular-nums}
.bad>b,.counts .bad,.is.bad{color:var(--bad)}
.warn>b,.counts .warn,.is.warn{color:var(--warn)}
.is.good{color:var(--good)}
.mute,.is.mute{color:var(--mute)}
.counts .mute b{color:var(--text)}
section{margin-top:1.25rem;padding:.75rem 1rem}
section h2{margin:0 0 .25rem}
section li+li{margin-top:.25rem}
section.incomplete{border-left:.25rem solid var(--bad)}
p.incomplete{color:var(--bad)}
.is{display:inline-block;padding:0 .5rem;border:1px solid;border-radius:1rem;font-size:.85rem;white-space:nowrap}
details{margin-bottom:.75rem}
summary{padding:.75rem 1rem;cursor:pointer}
table{width:100%;table-layout:fixed;border-collapse:collapse;border-top:1px solid var(--line)}
th,td{padding:.6rem .75rem;text-align:left;vertical-align:top}
th:first-child{padding-left:1rem}
thead th{color:var(--mute);font-size:.85rem;font-weight:600}
tbody tr{border-top:1px solid var(--line)}
thead th:nth-child(1){width:22%}
thead th:nth-child(2){width:15%}
thead th:nth-child(3),thead th:nth-child(4){width:7rem}
td li+li{margin-top:.5rem}
footer{margin-top:2.5rem;color:var(--mute);font-size:.9rem}
footer h2{font-size:1rem}
dt{font-weight:600}
dd{margin:0 0 .5rem}
@media(max-width:45rem){
body{padding:1.25rem .75rem 2rem}
.counts{grid-template-columns:repeat(2,1fr)}
table,tbody,tr,tbody th,td{display:block}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tbody tr{padding:.75rem 1rem}
tbody th,td,tbody th:first-child{padding:.15rem 0}
td{display:grid;grid-template-columns:5.5rem minmax(0,1fr);align-items:start}
td::before{content:attr(data-column);color:var(--mute);font-size:.85rem}
td small{grid-column:2}
.is{justify-self:start}
}
`;
