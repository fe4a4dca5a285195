/** What a peer's signed record shows of a version (SPEC S8, S43). */
import type { Shown } from '../schedule/panel.ts'
import type { Entry } from '../upgrade/manifest.ts'
import { BEGUN } from './lifecycle.ts'
import type { ObjectRecord, PeerRecord } from './record.ts'

type Shows = Pick<PeerRecord, 'head' | 'objects'>

/** A peer that starts, or is down for its next upgrade, has shown nothing against the version. */
export function shownBy({ head, objects }: Shows, object: string, entry: Entry): { state: Shown; reason: string } {
  const found = objects[object]!
  const heard = head.version >= entry.version ? 'waits' : 'behind'
  if (found.version < entry.version || (found.version === entry.version && !entry.hash.startsWith(found.entry))) {
    const failure = found.failed.find((one) => one.version === entry.version)
    return failure === undefined ? { state: heard, reason: found.reason } : { state: 'failed', reason: failure.reason }
  }
  if (found.crashes !== undefined)
    return { state: 'sick', reason: `died ${found.crashes} times in a row${found.reason && `: ${found.reason}`}` }
  const goesOn = BEGUN.has(found.phase) && found.target > found.version
  if (found.serving || goesOn) return { state: 'runs', reason: '' }
  return found.reason === '' ? { state: heard, reason: '' } : { state: 'sick', reason: found.reason }
}

/** Whether the bundle is verified there and the object waits to begin, has begun, or is past it. */
export function holdsReady(record: Shows, object: string, entry: Entry): boolean {
  const { state } = shownBy(record, object, entry)
  const { phase, target } = record.objects[object]!
  if (state === 'failed' || state === 'sick') return false
  return state === 'runs' || (target === entry.version && phase !== 'fetching' && phase !== 'idle')
}

/** S23: of one peer: more calls fail than twice as many as before, and than one. */
export function gotWorse(calls: ObjectRecord['calls']): boolean {
  if (calls === undefined) return false
  const { now, before } = calls
  return now.failed > 1 + (2 * now.calls * before.failed) / before.calls
}
