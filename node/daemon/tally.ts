/** How far a roll-out is (SPEC C8): how many run, simulate and failed each version, how fast it goes, and when it ends. */
import type { CensusReading } from '../../src/overlay/census.ts'
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
  /**
   * `records`: exact, every peer is known here. `census`: run, simulate and failed are of the whole fleet, within some
   * percent. `sample`: they are of the peers known here, since nothing was heard of the others yet.
   */
  by: 'records' | 'census' | 'sample'
  /** Of the census: what was counted may have ended since so long ago, ms. */
  ageMs: number
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
    const newest = peer.log.chain.at(-1)
    const [object] = objects
    const reading = peer.view.isFull ? readingOf(peer, object?.object ?? '', newest?.version ?? 0) : undefined
    const by = !peer.view.isFull ? 'records' : reading === undefined ? 'sample' : 'census'
    return { by, ageMs: reading?.ageMs ?? 0, known: records.length, objects }
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
    const peers = peer.view.isFull ? Math.max(hosting.length, peer.census.size(object)) : hosting.length
    const left = Math.max(0, peers - run)
    const perMinute = left === 0 ? null : pace.perMinute(now)
    return {
      object,
      className: newest?.className ?? object,
      peers,
      versions,
      perMinute,
      leftMs: perMinute === null ? null : Math.round((left / perMinute) * 60_000)
    }
  }
}

/** What the census says of the newest version of an object up to this one. */
function readingOf(peer: Peer, object: string, version: number): CensusReading | undefined {
  const found = peer.log.schema.versions(object).findLast((one) => one.version <= version)
  return found === undefined ? undefined : peer.census.read(found.entry, object, peer.now)
}

function tallied(peer: Peer, object: string, records: readonly PeerRecord[]): VersionTally[] {
  const { log } = peer
  const versions = new Map<number, VersionTally>()
  const at = (version: number): VersionTally => {
    const known = versions.get(version) ?? { version, run: 0, simulate: 0, failed: 0, phases: {} }
    versions.set(version, known)
    return known
  }
  const counted = new Map<number, CensusReading>()
  for (const one of log.schema.versions(object).slice(-1)) at(one.version)
  for (const one of peer.view.isFull ? log.schema.versions(object) : []) {
    const reading = peer.census.read(one.entry, object, peer.now)
    if (reading !== undefined && reading.run + reading.simulate + reading.failed > 0) counted.set(one.version, reading)
  }
  for (const record of records) {
    for (const one of countedIn(record, log)) if (one.object === object) at(one.version)[one.what] += 1
    const { phase, target, version, serving, reason } = record.objects[object]!
    if (phase === 'idle' && version > 0 && !serving && reason !== '') {
      const { phases } = at(version)
      phases['failing'] = (phases['failing'] ?? 0) + 1
    }
    if (target === 0 || phase === 'idle') continue
    const { phases } = at(target)
    phases[phase] = (phases[phase] ?? 0) + 1
  }
  for (const [version, { run, simulate, failed }] of counted) Object.assign(at(version), { run, simulate, failed })
  return [...versions.values()].sort((a, b) => b.version - a.version)
}
