/** A check's report for people: the matrix, what follows from the specification alone, the passes, and each violation as a table. */

import type { CheckReport } from '../../src/spec/check.ts'
import { type Line, type Violation, written } from '../../src/spec/judge.ts'
import type { Droppable, Undecided } from '../../src/spec/knowledge.ts'
import { table } from '../cli/screen.ts'
import type { ClassReport } from './worker.ts'

type Versions = Pick<ClassReport, 'from' | 'to'>

export function reportText(report: ClassReport, replay: string): string {
  const { className, becomes, from, to, matrix, differences, check, stage } = report
  const lines = [`${className}@${from} → ${becomes}@${to}`, '']
  lines.push(
    table([
      ['METHOD', 'KIND', 'BEFORE THE NODE UPGRADES', 'AFTER'],
      ...matrix.map((row) => [`${row.method}@${row.version}`, row.kind, row.before, row.after])
    ]),
    ''
  )
  for (const { method, what } of differences.filter((one) => one.what !== 'added'))
    lines.push(`for callers of version ${from}: ${method} ${what}`)
  const missing = matrix.filter((row) => row.before === 'missing' || row.after === 'missing')
  for (const row of missing) lines.push(`MISSING: ${row.method}@${row.version}: the SO of that version lacks it`)
  if (check === null) lines.push('no specification ("spec: ./spec.ts"): only interfaces were compared')
  else lines.push(...checkLines(check, report, stage ?? '', replay))
  if (report.suggestion !== undefined) lines.push(suggestionText(report.suggestion))
  return lines.join('\n')
}

function suggestionText(refusals: ClassReport['suggestion']): string {
  if (refusals === null || refusals === undefined)
    return 'suggestion: none; refusing one or two of the SOs’ methods does not help'
  const named = refusals.map(({ phase, method, args }) => {
    const values = args.map((one) => (one === null ? '…' : JSON.stringify(one))).join(', ')
    return `${method}(${values}) ${phase} the upgrade`
  })
  return `suggestion: refuse ${named.join(', and ')}, in the SO and in the specification: then nothing wrong was found`
}

function checkLines(check: CheckReport, versions: Versions, stage: string, replay: string): string[] {
  const lines: string[] = []
  for (const { law, text, calls } of check.breaches) {
    const way = calls.map((call) => written(versions, call)).join('; ')
    lines.push(`SPEC (${law}): ${text}${way === '' ? '' : `; after ${way}`}`)
  }
  for (const pass of check.passes) {
    const part = pass.share < 1 ? `, ${percent(pass.share)} of these` : ''
    const length = pass.mutators === null ? '' : `, up to ${pass.mutators} mutators${part}`
    const verdict = pass.violation === null ? 'ok' : `VIOLATES ${pass.violation.rule}`
    const where = pass.name.includes('processes') ? '' : ` (${stage}${length})`
    lines.push(`${verdict}: ${pass.name}${where}: ${pass.histories} histories, ${pass.calls} calls`)
  }
  for (const violation of distinct(check)) lines.push('', ...violationLines(violation, versions))
  if (check.passes.some((pass) => pass.violation !== null)) {
    for (const one of check.undecided) lines.push(`why, perhaps: ${undecidedText(one)}`)
    lines.push(`replay: ${replay}`)
  }
  for (const one of check.droppable) lines.push(`can be dropped: ${refusalText(one)}`)
  for (const one of check.droppableByInterception)
    lines.push(`could be dropped if the SO intercepted all mutators: ${refusalText(one)}`)
  const unseen = check.coverage.filter((row) => row.served + row.refused === 0)
  for (const { method, side, phase } of unseen) {
    const version = side === 'old' ? versions.from : versions.to
    lines.push(`not exercised: ${method}@${version} ${phase} the upgrade`)
  }
  const { seen, all } = check.interleavings
  lines.push(`${seen} of ${all} ordered pairs of mutators came one after the other; seed ${check.seed}`)
  return lines
}

const percent = (share: number): string => `${(share * 100).toPrecision(2)} %`

/** One violation each of what several passes found. */
function distinct({ passes }: CheckReport): Violation[] {
  const found = new Map<string, Violation>()
  for (const { violation } of passes)
    if (violation !== null) found.set(violation.text, found.get(violation.text) ?? violation)
  return [...found.values()]
}

function violationLines({ rule, lines, expected, text }: Violation, versions: Versions): string[] {
  const rows = lines.map((line, at) => {
    const isLast = at === lines.length - 1
    return [stepText(line, versions), line.got === 'null' ? '' : line.got, isLast ? `must be ${expected}` : '']
  })
  return [`violates ${rule}: ${text}`, table([['STEP', 'RESULT', ''], ...rows])]
}

/** One step of a history in people's words. */
export function stepText({ step }: Line, versions: Versions): string {
  switch (step.do) {
    case 'call':
      return written(versions, step)
    case 'together':
      return `${written(versions, step.first)}, held at its point ${step.heldAt + 1} while ${written(versions, step.second)}`
    case 'cut':
      return `${written(versions, step.first)}, killed at its point ${step.heldAt + 1}`
    case 'upgrade':
      return step.interruptedAfter === undefined ? '*upgrade*' : '*upgrade*, the TF run twice'
    case 'simulate':
      return '*the future SO starts*'
    case 'restart':
      return '*the process is killed and started again*'
  }
}

const undecidedText = ({ phase, text }: Undecided): string => `${phase} the upgrade, ${text}`

function refusalText({ phase, method, args }: Droppable): string {
  const which = args === null ? method : `${method}(${args.map((one) => JSON.stringify(one)).join(', ')})`
  return `the refusal of ${which} ${phase} the upgrade`
}
