/** The condition `signalled` (SPEC S43): enough others hold the upgrade ready. Met once, it stays met. */
import { type Progress, type Verdict, waits } from './evaluate.ts'
import { type Others, SETTLE_MS } from './panel.ts'
import { type Condition, MILLION } from './schedule.ts'

type Signalled = Extract<Condition, { kind: 'signalled' }>

const AMONG: Readonly<Record<Signalled['of'], string>> = {
  neighbours: 'neighbours and itself',
  group: 'its group',
  sample: 'the peers that it knows'
}

export function evaluateSignalled(
  { kind, of, share }: Signalled,
  path: string,
  progress: Progress,
  others: () => Others
): Verdict {
  if (progress[path] === 1) return { go: true, progress }
  const { known, ready, settledMs } = others().ready(of)
  const needed = Math.ceil((known * share) / MILLION)
  const said = `${ready} of ${known} of ${AMONG[of]} hold it ready; ${needed} must`
  if (settledMs !== undefined && settledMs >= SETTLE_MS) {
    if (ready < needed) return waits(kind, progress, said)
    return { go: true, progress: { ...progress, [path]: 1 } }
  }
  // What is known may be old, or not be all: neither yes nor no.
  const why = settledMs === undefined ? 'is cut off from all other peers' : 'makes sure that there are no others'
  const inMs = settledMs === undefined ? undefined : SETTLE_MS - settledMs
  return { ...waits(kind, progress, ready < needed ? said : `${said}; ${why}`, inMs), unsure: true }
}
