/** How far a roll-out is (SPEC C8): how many run, simulate and failed each version, how fast it goes, and when it ends. */
import { countedIn } from '../../src/overlay/counted.ts'
import type { Peer } from '../../src/overlay/peer.ts'
import { hasLeft, type PeerRecord } from '../../src/overlay/record.ts'

export interface VersionTally {
  version: number
  run: number
  simulate: number
  failed: number
  /** Phase → peers known here that are in it, on their way to this version. */
  phases: Record<string, number>
}

export interface ObjectTally {
  object: string
  /** The newest version's name of the class. */
  className: string
  peers: number
  /** Newest first. */
  versions: VersionTally[]
  /** Peers that came to run the newest version, a minute, as seen from here; null while nobody did. */
  perMinute: number | null
  /** Until all run it, at that rate, ms. */
  leftMs: number | null
}

export interface Tally {
  /** `records`: exact, every peer is known here. */
  by: 'records'
  /** Peers whose records are here, those that left not counted. */
  known: number
  objects: ObjectTally[]
}

/** Changes of a count that are remembered, and for how long they tell the rate. */
const MAX_SAMPLES = 64
const WINDOW_MS = 3_600_000
const LOOK_MS = 1_000

/** Remembers how a count grew, to tell its rate. */
export class Pace {
  #samples: { at: number; version: number; run: number }[] = []

  /** @param run how many run the newest version now */
  note(version: number, run: number, now: number): void {
    const last = this.#samples.at(-1)
    if (last?.version === version && last.run === run) return
    const kept = this.#samples.filter((one) => one.version === version)
    this.#samples = [...kept, { at: now, version, run }].slice(-MAX_SAMPLES)
  }

  /** Peers a minute over the last hour at most; null where nothing grew. */
  perMinute(now: number): number | null {
    const recent = this.#samples.filter((one) => one.at >= now - WINDOW_MS)
    const [first, last] = [recent[0], recent.at(-1)]
    if (first === undefined || last === undefined || last.run <= first.run) return null
    return ((last.run - first.run) * 60_000) / Math.max(1000, now - first.at)
  }
}

export class Tallying {
  readonly #paces = new Map<string, Pace>()
  #lookedAt = Number.NEGATIVE_INFINITY

  /** Called whenever something may have changed, so that the rate is known when somebody asks. */
  look(peer: Peer): void {
    if (peer.now < this.#lookedAt + LOOK_MS) return
    this.#lookedAt = peer.now
    this.of(peer)
  }

  of(peer: Peer): Tally {
    const records = [...peer.view.all()].map((one) => one.record).filter((record) => !hasLeft(record))
    const objects = [...peer.log.schema.lineages.keys()].map((object) => this.#object(peer, object, records))
    return { by: 'records', known: records.length, objects }
  }

  #object(peer: Peer, object: string, records: readonly PeerRecord[]): ObjectTally {
    const { log, now } = peer
    const hosting = records.filter((record) => record.objects[object] !== undefined)
    const versions = tallied(peer, object, hosting)
    const newest = log.schema.versions(object).at(-1)
    const run = versions.find((one) => one.version === newest?.version)?.run ?? 0
    const pace = this.#paces.get(object) ?? new Pace()
    this.#paces.set(object, pace)
    pace.note(newest?.version ?? 0, run, now)
    const left = hosting.length - run
    const perMinute = left === 0 ? null : pace.perMinute(now)
    return {
      object,
      className: newest?.className ?? object,
      peers: hosting.length,
      versions,
      perMinute,
      leftMs: perMinute === null ? null : Math.round((left / perMinute) * 60_000)
    }
  }
}

function tallied({ log }: Peer, object: string, records: readonly PeerRecord[]): VersionTally[] {
  const versions = new Map<number, VersionTally>()
  const at = (version: number): VersionTally => {
    const known = versions.get(version) ?? { version, run: 0, simulate: 0, failed: 0, phases: {} }
    versions.set(version, known)
    return known
  }
  for (const one of log.schema.versions(object).slice(-1)) at(one.version)
  for (const record of records) {
    for (const one of countedIn(record, log)) if (one.object === object) at(one.version)[one.what] += 1
    const { phase, target } = record.objects[object]!
    if (target === 0 || phase === 'idle') continue
    const { phases } = at(target)
    phases[phase] = (phases[phase] ?? 0) + 1
  }
  return [...versions.values()].sort((a, b) => b.version - a.version)
}
