/**
 * The conditions `canary` (SPEC S7 to S9) and `waves` (S40): peers go by their place in waves, each when those before it
 * have run the version in good health for a while. Canaries are the first of two waves.
 */

import { awaitCohorts, type Cohort } from './cohorts.ts'
import { sayDuration } from './duration.ts'
import { type Progress, type Verdict, waits } from './evaluate.ts'
import { MAX_JUDGED, type Others, type Panel, SETTLE_MS } from './panel.ts'
import { type Condition, filtersOf, MILLION } from './schedule.ts'

type Few = Extract<Condition, { kind: 'canary' }>['share']
type Staged = Extract<Condition, { kind: 'canary' | 'waves' }>

/** Both in the same words: who goes first, and where each later wave begins and ends, per million. */
function wavesOf(condition: Staged): { few: Few; later: { from: number; to: number }[]; soakMs: number } {
  if (condition.kind === 'canary') {
    const { share, soakMs } = condition
    return { few: share, later: [{ from: 'count' in share ? 0 : share.perMillion, to: MILLION }], soakMs }
  }
  const { ends, everyMs } = condition
  const later = ends.slice(1).map((to, at) => ({ from: ends[at]!, to }))
  return { few: { perMillion: ends[0]! }, later, soakMs: everyMs }
}

export function evaluateWaves(
  condition: Staged,
  path: string,
  progress: Progress,
  passedMs: number,
  others: Others
): Verdict {
  const { few, later, soakMs } = wavesOf(condition)
  const place = others.place * MILLION
  if ('perMillion' in few && place < few.perMillion) return { go: true, progress }
  const panels = filtersOf(condition).map((filter) => others.panel(filter))
  const first = firstOf(few, panels[0]!)
  if (first.some((one) => one.peer === others.self)) return lowestKnown(condition, panels[0]!.settledMs, progress)
  if (first.length === 0) {
    const sentence = `waits for ${nameOf(condition, 0)}: no peer that could be one is known`
    return { ...waits(condition.kind, progress, sentence), unsure: true }
  }
  const own = later.findIndex(({ to }) => place < to)
  const cohorts = panels.slice(0, own + 1).map(
    ({ judged, settledMs }, at): Cohort => ({
      name: nameOf(condition, at),
      judged: at === 0 ? first : judged.slice(0, MAX_JUDGED),
      settledMs
    })
  )
  const { from, to } = later[own]!
  const terms = {
    kind: condition.kind,
    version: others.version,
    success: condition.success ?? MILLION,
    soakMs,
    patientWith: 'nobody',
    fellows: () => others.between(Math.max(from / MILLION, first.at(-1)!.place), to / MILLION)
  } as const
  return awaitCohorts(cohorts, terms, path, progress, passedMs)
}

/** Nobody lies in the first wave, or their number is given: the lowest go, once they know that they are. */
function lowestKnown({ kind }: Staged, settledMs: number | undefined, progress: Progress): Verdict {
  if (settledMs !== undefined && settledMs >= SETTLE_MS) return { go: true, progress }
  const leftMs = settledMs === undefined ? undefined : SETTLE_MS - settledMs
  const long = leftMs === undefined ? 'when it has a neighbour' : `in ${sayDuration(leftMs)}`
  const role = kind === 'canary' ? 'is a canary' : 'is in the first wave'
  const sentence = `${role}, as one of the lowest known; goes ${long} if it hears of none lower`
  return { ...waits(kind, progress, sentence, leftMs), unsure: true }
}

/** S8: those below the fraction, or the lowest. */
function firstOf(few: Few, panel: Panel): Panel['judged'] {
  const lowest = panel.judged.slice(0, MAX_JUDGED)
  if ('count' in few) return lowest.slice(0, few.count)
  const below = lowest.filter((one) => one.place * MILLION < few.perMillion)
  return below.length > 0 ? below : lowest.slice(0, 1)
}

const nameOf = (condition: Staged, at: number): string =>
  condition.kind === 'canary' ? 'canaries' : `wave ${at + 1} of ${condition.ends.length}`
