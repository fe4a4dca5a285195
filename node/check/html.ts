/** A check's report as one page without scripts or other files (SPEC Q16): matrix, coverage, and histories as sequence diagrams. */
import type { CoverageRow } from '../../src/spec/coverage.ts'
import type { Line, Violation } from '../../src/spec/judge.ts'
import type { CheckPlan } from './plan.ts'
import { reportText, stepText } from './text.ts'
import type { ClassReport } from './worker.ts'

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const text = (value: unknown): string => String(value).replace(/[&<>"]/g, (one) => ESCAPES[one]!)

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1c2330; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.5rem } h3 { font-size: 1rem; margin-top: 1.6rem }
table { border-collapse: collapse; margin: .6rem 0 } td, th { padding: .25rem .7rem; border: 1px solid #d5dae3; text-align: left }
th { background: #f2f4f8; font-weight: 600 } td.number { text-align: right; font-variant-numeric: tabular-nums }
code, pre { font: 13px/1.5 ui-monospace, monospace } pre { background: #f6f7fa; padding: .8rem; overflow-x: auto }
.good { background: #e5f4ea } .fair { background: #eaf1fb } .poor { background: #fdf3dc } .bad { background: #fbe3e3 }
.verdict { padding: .5rem .8rem; border-radius: .3rem; display: inline-block; font-weight: 600 } svg text { font: 13px ui-monospace, monospace }
@media (prefers-color-scheme: dark) { body { background: #14171d; color: #dfe4ee } td, th { border-color: #3a4150 } th, pre { background: #1f242e }
.good { background: #1d3a28 } .fair { background: #1d2c44 } .poor { background: #41351a } .bad { background: #4a2020 } svg { background: #fff } }
`

const CLASS_OF: Readonly<Record<string, string>> = {
  direct: 'good',
  intercepted: 'good',
  delegated: 'fair',
  'partly disallowed': 'poor',
  disallowed: 'poor',
  'not served': 'poor',
  missing: 'bad'
}

export function reportPage(reports: readonly ClassReport[], { version }: CheckPlan, replay: string): string {
  const ok = reports.every((one) => one.check?.ok !== false && !one.matrix.some(isMissing))
  const verdict = ok ? 'nothing wrong was found' : 'something is wrong'
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>upstart check: version ${version}</title><style>${STYLE}</style></head>
<body><h1>Check of version ${version}</h1><p class="verdict ${ok ? 'good' : 'bad'}">${verdict}</p>
<p>Again: <code>${text(replay)}</code></p>
${reports.map((one) => classSection(one, replay)).join('\n')}
</body></html>
`
}

const isMissing = (row: ClassReport['matrix'][number]): boolean => row.before === 'missing' || row.after === 'missing'

function classSection(report: ClassReport, replay: string): string {
  const { className, becomes, from, to, matrix, check, stage } = report
  const cell = (value: string) => `<td class="${CLASS_OF[value] ?? ''}">${text(value)}</td>`
  const rows = matrix.map(
    (row) =>
      `<tr><td><code>${text(row.method)}</code> of version ${row.version}</td><td>${row.kind}</td>${cell(row.before)}${cell(row.after)}</tr>`
  )
  const parts = [
    `<h2>${text(className)} ${from} → ${text(becomes)} ${to}</h2>`,
    `<h3>What is served by what</h3><table><tr><th>method</th><th>kind</th><th>before the node upgrades</th><th>after</th></tr>${rows.join('')}</table>`
  ]
  if (check === null) return [...parts, '<p>No specification: only interfaces were compared.</p>'].join('\n')
  const passes = check.passes.map(
    (pass) =>
      `<tr class="${pass.violation === null ? '' : 'bad'}"><td>${text(pass.name)}</td><td class="number">${pass.mutators ?? ''}</td><td class="number">${pass.histories}</td><td class="number">${pass.calls}</td><td>${pass.violation === null ? 'ok' : `violates ${pass.violation.rule}`}</td></tr>`
  )
  parts.push(
    `<h3>What was tried, ${stage}</h3><table><tr><th>pass</th><th>mutators</th><th>histories</th><th>calls</th><th></th></tr>${passes.join('')}</table>`,
    coverageTable(check.coverage, report),
    `<p>${check.interleavings.seen} of ${check.interleavings.all} ordered pairs of mutators came one after the other.</p>`
  )
  const found = new Map(
    check.passes.flatMap(({ violation }) => (violation === null ? [] : [[violation.text, violation]]))
  )
  for (const violation of found.values())
    parts.push(`<h3>Violates ${violation.rule}: ${text(violation.text)}</h3>${diagram(violation, report)}`)
  parts.push(`<h3>In words</h3><pre>${text(reportText(report, replay))}</pre>`)
  return parts.join('\n')
}

/** Calls served and refused, by method and phase; what was never called stands out. */
function coverageTable(coverage: readonly CoverageRow[], { from, to }: ClassReport): string {
  const most = Math.max(1, ...coverage.map((row) => row.served + row.refused))
  const cell = (row: CoverageRow | undefined): string => {
    const all = (row?.served ?? 0) + (row?.refused ?? 0)
    const strength = all === 0 ? 0 : 0.15 + 0.5 * (Math.log(1 + all) / Math.log(1 + most))
    const refused = row === undefined || row.refused === 0 ? '' : `, ${row.refused} refused`
    const style =
      all === 0 ? ' class="number bad"' : ` class="number" style="background: rgb(64 145 108 / ${strength.toFixed(2)})"`
    return `<td${style}>${row?.served ?? 0}${refused}</td>`
  }
  const names = [...new Set(coverage.map((row) => `${row.side} ${row.method}`))]
  const rows = names.map((name) => {
    const [side, method] = name.split(' ') as ['old' | 'new', string]
    const of = (phase: string) =>
      coverage.find((row) => row.side === side && row.method === method && row.phase === phase)
    return `<tr><td><code>${text(method)}</code> of version ${side === 'old' ? from : to}</td>${cell(of('before'))}${cell(of('after'))}</tr>`
  })
  return `<h3>How often each method was called</h3><table><tr><th>method</th><th>before the upgrade</th><th>after</th></tr>${rows.join('')}</table>`
}

const LANES = { old: 90, node: 330, new: 570 } as const
const ROW = 34

/** Time runs down; callers of the old version stand at the left, of the new one at the right, the node between them. */
function diagram({ lines, expected }: Violation, versions: ClassReport): string {
  const height = ROW * (lines.length + 1) + 30
  const lane = (x: number, name: string) =>
    `<text x="${x}" y="16" text-anchor="middle">${text(name)}</text><line x1="${x}" y1="24" x2="${x}" y2="${height - 8}" stroke="#9aa4b5" stroke-dasharray="3 3"/>`
  const drawn = lines.map((line, at) =>
    drawLine(line, 24 + ROW * (at + 0.7), versions, at === lines.length - 1 ? expected : '')
  )
  return `<svg viewBox="0 0 660 ${height}" width="660" height="${height}" role="img" aria-label="the history as a sequence diagram">
${lane(LANES.old, `callers at ${versions.from}`)}${lane(LANES.node, 'the node')}${lane(LANES.new, `callers at ${versions.to}`)}
${drawn.join('\n')}</svg>`
}

function drawLine(line: Line, y: number, versions: ClassReport, expected: string): string {
  const { step } = line
  if (step.do !== 'call') {
    const label = stepText(line, versions)
    return `<rect x="${LANES.node - 190}" y="${y - 12}" width="380" height="20" rx="4" fill="#eef1f6" stroke="#9aa4b5"/><text x="${LANES.node}" y="${y + 3}" text-anchor="middle">${text(label.replaceAll('*', ''))}</text>`
  }
  const from = LANES[step.side]
  const answer = line.got === 'null' ? '' : ` → ${line.got}`
  const wrong = expected === '' ? '' : `, must be ${expected}`
  const middle = (from + LANES.node) / 2
  const color = expected === '' ? '#1c2330' : '#b3261e'
  const tip = step.side === 'old' ? -7 : 7
  return `<line x1="${from}" y1="${y}" x2="${LANES.node}" y2="${y}" stroke="${color}"/><path d="M${LANES.node} ${y} l${tip} -4 v8 z" fill="${color}"/><text x="${middle}" y="${y - 5}" text-anchor="middle" fill="${color}">${text(stepText(line, versions))}${text(answer)}${text(wrong)}</text>`
}
