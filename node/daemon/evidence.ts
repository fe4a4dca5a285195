/** Whether somebody still needs a version (SPEC R7): who runs it or is behind it, whose code calls it, when it was last called. */
import type { Peer } from '../../src/overlay/peer.ts'
import { hasLeft, type PeerRecord } from '../../src/overlay/record.ts'
import type { Entry } from '../../src/upgrade/manifest.ts'

export interface Evidence {
  /** The furthest behind known that run the version or an older one of an object that came with it. */
  behind: { peer: string; object: string; version: number; heardAt: string }[]
  /** Classes in force whose code, SOs included, calls it or an older one. */
  callers: { class: string; version: number; peer: string | null; calls: string; at: number }[]
  /** Hour in which a call at it, or at an older one, was last answered anywhere; null: none was heard of. */
  lastCall: string | null
}

const MAX_BEHIND = 8

export function evidenceFor(peer: Peer, entry: Entry): Evidence {
  const { log, census } = peer
  const objects = entry.manifest.classes.flatMap(({ to }) => log.schema.find(to, entry.version)?.object ?? [])
  const older = objects.flatMap((object) =>
    log.schema
      .versions(object)
      .filter((one) => one.version <= entry.version)
      .map((one) => ({ object, ...one }))
  )
  const lastCall = Math.max(0, ...older.map((one) => census.lastCall(one.object, one.entry)))
  return {
    behind: behind(peer, objects, entry.version),
    callers: callers(peer, objects, entry.version),
    lastCall: lastCall === 0 ? null : new Date(lastCall).toISOString()
  }
}

/** Of all known here, of whom the furthest behind of the fleet are some (O25). */
function behind({ view, laggards }: Peer, objects: readonly string[], version: number): Evidence['behind'] {
  const first = new Set(laggards.peers())
  const records = [...view.all()].map((one) => one.record).filter((record) => !hasLeft(record))
  const found = records.flatMap((record) =>
    objects.flatMap((object) => {
      const runs = record.objects[object]?.version ?? 0
      if (runs === 0 || runs > version) return []
      const heardAt = new Date(view.heardAt(record.peer)).toISOString()
      return [{ peer: record.peer, object, version: runs, heardAt }]
    })
  )
  return found
    .sort((a, b) => Number(first.has(b.peer)) - Number(first.has(a.peer)) || a.version - b.version)
    .slice(0, MAX_BEHIND)
}

/** Versions in force are those from the oldest that anybody known runs to the newest. */
function callers({ log, view }: Peer, objects: readonly string[], version: number): Evidence['callers'] {
  const records = [...view.all()].map((one) => one.record).filter((record) => !hasLeft(record))
  const found: Evidence['callers'] = []
  for (const [object, versions] of log.schema.lineages) {
    const runs = (record: PeerRecord) => record.objects[object]?.version ?? 0
    const oldest = Math.min(...records.map(runs).filter((one) => one > 0))
    for (const one of versions.filter((known) => known.version >= oldest)) {
      const { interface: own, past, future } = one.upgrade
      const sos = [past, future].flatMap((so) => (so === null || so === 'subtype' ? [] : [so.interface]))
      const calls = [own, ...sos].flatMap((face) => Object.entries(face.calls))
      const peer = records.find((record) => runs(record) === one.version)?.peer ?? null
      for (const [calledClass, at] of calls)
        if (at <= version && objects.includes(log.schema.lineageOf(calledClass) ?? ''))
          found.push({ class: one.className, version: one.version, peer, calls: calledClass, at })
    }
  }
  return found
}
