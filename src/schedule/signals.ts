/** The condition `signalled` (SPEC S43): enough others hold the upgrade ready. Met once, it stays met. */
import type { Progress, Verdict } from './evaluate.ts'
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
  const wait = (sentence: string, inMs?: number): Verdict => ({
    go: false,
    progress,
    reason: { kind, sentence },
    inMs
  })
  const { known, ready, settledMs } = others().ready(of)
  const needed = Math.ceil((known * share) / MILLION)
  const said = `${ready} of ${known} of ${AMONG[of]} hold it ready; ${needed} must`
  if (ready < needed) return wait(said)
  // What is known may be old, or not be all: neither yes nor no.
  const unsure = { unsure: true } as const
  if (settledMs === undefined) return { ...wait(`${said}; is cut off from all other peers`), ...unsure }
  if (settledMs < SETTLE_MS)
    return { ...wait(`${said}; makes sure that there are no others`, SETTLE_MS - settledMs), ...unsure }
  return { go: true, progress: { ...progress, [path]: 1 } }
}
