/** Where calls can go, from what the peer has seen of others (SPEC N12): who hosts a class, and which versions it serves. */
import type { Peer } from '../../src/overlay/peer.ts'
import { hasLeft } from '../../src/overlay/record.ts'
import type { LineageVersion } from '../../src/upgrade/schema.ts'
import type { CallTarget } from '../../src/versions/types.ts'
import type { Candidate } from '../calls/router.ts'

/** Members of the target that host the class, own node included; they serve what they would start on a call, too. */
export function candidates(
  peer: Peer,
  className: string,
  version: number,
  to: NonNullable<CallTarget['to']>
): Candidate[] {
  const { schema } = peer.log
  const object = peer.resolve(className, version)?.object ?? schema.lineageOf(className)
  if (object === undefined) return []
  const found: Candidate[] = []
  for (const { record } of peer.view.all()) {
    if (typeof to === 'object' && 'peer' in to && to.peer !== record.peer) continue
    if (typeof to === 'object' && 'group' in to && to.group !== record.group) continue
    if (hasLeft(record)) continue
    const hosted = record.objects[object]
    if (hosted === undefined || hosted.version === 0) continue
    const next = schema.next(object, hosted.version)
    const highest = Math.max(hosted.highest, next !== undefined && next.upgrade.future !== null ? next.version : 0)
    found.push({
      peer: record.peer,
      addresses: record.addresses,
      serving: hosted.serving,
      serves: [hosted.lowest, highest]
    })
  }
  return found
}

/** Whether a call may be made again when its outcome is unknown: it only looks, or says that a repetition is harmless. */
export function isRepeatable(peer: Peer, className: string, version: number, method: string): boolean {
  const declared = peer.resolve(className, version)?.upgrade.interface.methods[method]
  return declared?.kind === 'observer' || declared?.idempotent === true
}

/** First 16 hex digits of the entry that a class's version came with: equal numbers on two branches never meet (D24). */
export function entryOf(peer: Peer, className: string, version: number): string | undefined {
  return peer.resolve(className, version)?.entry.hash.slice(0, 16)
}

/** The object that a caller means by a class and version, with all its versions on that branch of the log. */
export function versionsOf(peer: Peer, className: string, version: number) {
  const found = peer.resolve(className, version)
  if (found === undefined) return undefined
  const { object, entry } = found
  return { object, versions: peer.log.schemaOf(entry.hash).versions(object) }
}

/** Whether past SOs of a version may still run on callers' nodes: no retirement of it, or of a later one, forbids it (G2, R6). */
export function mayHostForCaller({ statements }: Peer, versions: readonly LineageVersion[], version: number): boolean {
  const retirements = versions.filter((one) => one.version >= version).map((one) => statements.retired(one.entry.hash))
  return retirements.every((one) => one?.body.what !== 'retire' || one.body.callers)
}
