/**
 * The conditions `domains` (SPEC S41) and `after` of a class (S42): a peer goes when all that it knows of others, as
 * their labels or their classes name them, run a version well. Whoever has heard of the upgrade is waited for.
 */
import { awaitCohorts, type Cohort } from './cohorts.ts'
import { type Progress, type Verdict, waits } from './evaluate.ts'
import { MAX_JUDGED, type Others, SETTLE_MS } from './panel.ts'
import { type Condition, filtersOf } from './schedule.ts'

type Of<Kind extends Condition['kind']> = Extract<Condition, { kind: Kind }>

export function evaluateDomains(
  condition: Of<'domains'>,
  path: string,
  progress: Progress,
  passedMs: number,
  labels: Readonly<Record<string, string>>,
  others: () => Others
): Verdict {
  const { by, order, success, everyMs } = condition
  const found = order.findIndex((values) => values.includes(labels[by] ?? ''))
  const own = found < 0 ? order.length : found
  if (own === 0) return { go: true, progress }
  const known = others()
  const filters = filtersOf(condition)
  const cohorts = filters
    .slice(0, own)
    .map((filter, at): Cohort => ({ name: `domain ${by}=${order[at]!.join('|')}`, ...known.panel(filter) }))
  const terms = {
    kind: 'domains',
    version: known.version,
    success,
    soakMs: everyMs,
    patientWith: 'whoever knows',
    fellows: () => {
      const filter = filters[own]
      const fellows = filter === undefined ? [] : known.panel(filter).judged.filter((one) => one.peer !== known.self)
      return { known: fellows.length, run: fellows.filter((one) => one.state === 'runs').length }
    }
  } as const
  return awaitCohorts(cohorts, terms, path, progress, passedMs)
}

export function evaluateAfterClass(
  condition: Of<'afterClass'>,
  path: string,
  progress: Progress,
  passedMs: number,
  others: Others
): Verdict {
  const { kind, version, success } = condition
  const { judged, settledMs } = others.panel(filtersOf(condition)[0]!)
  const cohort = { name: `class ${condition.class}`, judged: judged.slice(0, MAX_JUDGED), settledMs }
  if (judged.length > 0)
    return awaitCohorts(
      [cohort],
      { kind, version, success, soakMs: 0, patientWith: 'whoever knows' },
      path,
      progress,
      passedMs
    )
  const sentence = `waits for ${cohort.name}: no peer that hosts it is known`
  if (settledMs !== undefined && settledMs >= SETTLE_MS) return waits(kind, progress, sentence)
  const inMs = settledMs === undefined ? undefined : SETTLE_MS - settledMs
  return { go: false, progress, reason: { kind, sentence }, inMs, unsure: true }
}
