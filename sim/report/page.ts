/** The report: one page that needs nothing but itself, no script, no font, no network (SPEC M31). */
import type { Run } from '../outcome.ts'
import { MEASURES, nameOf, type Spread, summarize } from '../statistics.ts'
import { escaped, type Plot, svgOf } from './plot.ts'
import { comparisons, middleRuns, plotsOf } from './plots.ts'

const STYLE = `
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #f5f5f3; margin: 0 auto; max-width: 1340px; padding: 24px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 32px 0 8px; }
p { max-width: 75ch; } .dim { color: #666; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(520px, 100%), 1fr)); gap: 16px; }
figure { margin: 0; background: #fff; border: 1px solid #ddd; border-radius: 6px; padding: 8px; }
figure svg { display: block; width: 100%; height: auto; } figcaption { font-size: 13px; color: #666; padding: 4px 8px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; background: #fff; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid #ddd; padding: 3px 10px; text-align: right; } th:first-child, td:first-child { text-align: left; }
.bad { color: #a40000; font-weight: 600; } pre { background: #fff; border: 1px solid #ddd; padding: 8px; overflow-x: auto; font-size: 12px; }
`

const figure = (plot: Plot): string =>
  `<figure>${svgOf(plot)}<figcaption>${escaped(plot.caption)}</figcaption></figure>`
export const gallery = (plots: readonly Plot[]): string => `<div class="plots">${plots.map(figure).join('\n')}</div>`
const number = (one: number): string => one.toLocaleString('en', { maximumFractionDigits: one < 1 ? 4 : 1 })
function spread(one: Spread | undefined): string {
  if (one === undefined) return 'not measured'
  const { p50, p95 } = one
  return p50 === p95 ? number(p50) : `${number(p50)} / ${number(p95)}`
}

/** What the runs of each variant measured: p50 and p95 over runs. */
function table(runs: readonly Run[]): string {
  const summaries = summarize(runs.map(({ outcome }) => outcome))
  const row = (cells: readonly string[], tag = 'td') =>
    `<tr>${cells.map((one) => `<${tag}>${escaped(one)}</${tag}>`).join('')}</tr>`
  const rows = Object.keys(MEASURES).map((name) => row([name, ...summaries.map((one) => spread(one.measures[name]))]))
  const head = [row(['p50 / p95 of runs', ...summaries.map((one) => nameOf(one.variant))], 'th')]
  const counts = [
    row(['runs', ...summaries.map((one) => String(one.runs))]),
    row(['with violations', ...summaries.map((one) => String(one.failed))])
  ]
  return `<div class="wide"><table>${[...head, ...counts, ...rows].join('\n')}</table></div>`
}

function troubles(runs: readonly Run[]): string {
  const bad = runs.filter(({ outcome }) => outcome.violations.length > 0)
  if (bad.length === 0) return ''
  const lines = bad
    .slice(0, 20)
    .flatMap(({ outcome: { seed, variant, violations, stuck } }) => [
      ...violations
        .slice(0, 3)
        .map(
          (one) => `${nameOf(variant)} seed ${seed} at ${one.atMs.toFixed(0)} ms: ${one.rule}: ${one.peer}: ${one.text}`
        ),
      ...stuck.first.slice(0, 3).map(({ peer, why }) => `${nameOf(variant)} seed ${seed}: ${peer} ${why}`)
    ])
  return `<h2 class="bad">${bad.length} of ${runs.length} runs broke a rule</h2><pre>${escaped(lines.join('\n'))}</pre>`
}

export interface Report {
  html: string
  /** Each plot alone, by file name. */
  plots: Record<string, string>
}

export function reportOf(runs: readonly Run[], description: string, command: string): Report {
  const { scenario, commit } = runs[0]!.outcome
  const compared = comparisons(runs)
  const single = middleRuns(runs)
  const plots: Record<string, string> = Object.fromEntries(compared.map((plot) => [plot.name, svgOf(plot)]))
  const sections = single.map((run, index) => {
    const drawn = plotsOf(run)
    const prefix = single.length > 1 ? `${index + 1}-` : ''
    for (const plot of drawn) plots[`${prefix}${plot.name}`] = svgOf(plot)
    const { variant, seed, peers, trace } = run.outcome
    const title = single.length > 1 ? nameOf(variant) : 'The run'
    const said = `Seed ${seed}, ${number(peers)} peers, trace ${trace}${runs.length > single.length ? '; of the runs with other seeds the one in the middle' : ''}.`
    return drawn.length === 0 ? '' : `<h2>${escaped(title)}</h2><p class="dim">${escaped(said)}</p>${gallery(drawn)}`
  })
  const body = `<h1>${escaped(scenario)}</h1>
<p>${escaped(description)}</p>
<p class="dim">${runs.length} run${runs.length === 1 ? '' : 's'}; commit ${escaped(commit)}; <code>${escaped(command)}</code></p>
${troubles(runs)}
${compared.length === 0 ? sections.join('\n') : `<h2>Compared</h2>${gallery(compared)}`}
<h2>Measured</h2><p class="dim">Times in ms since the last upgrade was accepted; rounds are mean times of one broadcast from neighbour to neighbour.</p>
${table(runs)}
${compared.length === 0 ? '' : sections.join('\n')}`
  return { html: framed(`${scenario}: simulated roll-out`, body), plots }
}

/** A page around what is already HTML. */
export const framed = (title: string, body: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${escaped(title)}</title><style>${STYLE}</style></head><body>
${body}
</body></html>
`
