/**
 * One's own record (SPEC O3, O5): made anew, signed and put into the view when what others act on has changed.
 */
import { Refusal } from '../errors.ts'
import type { Authority, PeerInit } from './events.ts'
import type { Outbox } from './outbox.ts'
import { boundedObjects, type ObjectRecord, type PeerRecord, type PermitRecord } from './record.ts'
import type { View } from './view.ts'

export const SNAPSHOT_FORMAT = 1

/** What a record says of this moment. */
export type Present = Pick<PeerRecord, 'head' | 'addresses'> & {
  objects: Record<string, ObjectRecord>
  permit: PermitRecord | null
  left: boolean
}

export class OwnRecord {
  readonly #init: PeerInit
  readonly #authority: Authority
  readonly #view: View
  readonly #outbox: Outbox
  /** 0 until the first start of this process: then it is silent. */
  #incarnation: number
  #counter = 0
  #key = ''

  /** @param kept what an earlier life persisted as `peer`. @throws Refusal DamagedStore for another format */
  constructor(init: PeerInit, authority: Authority, view: View, outbox: Outbox, kept: unknown) {
    this.#init = init
    this.#authority = authority
    this.#view = view
    this.#outbox = outbox
    const meta = (kept ?? { format: SNAPSHOT_FORMAT, incarnation: 0 }) as { format: number; incarnation: number }
    if (meta.format !== SNAPSHOT_FORMAT) {
      throw new Refusal(
        'DamagedStore',
        `the snapshot has format ${meta.format}, this release reads ${SNAPSHOT_FORMAT}; use the release that wrote it, or a newer one`
      )
    }
    this.#incarnation = meta.incarnation
  }

  /** A new life, or our own voice from one whose disk is lost: speak with a later incarnation from now on. */
  outlive(incarnation: number): void {
    this.#incarnation = Math.max(this.#incarnation, incarnation) + 1
    this.#outbox.persist('peer', { format: SNAPSHOT_FORMAT, incarnation: this.#incarnation })
  }

  /** The signed bytes if it had to be made anew. */
  refresh({ head, addresses, objects, permit, left }: Present, now: number): Uint8Array | undefined {
    const said = Object.entries(objects).map(([name, object]) => [name, essenceOf(object)])
    const key = JSON.stringify([this.#incarnation, head.hash, addresses, said, permit, left])
    if (key === this.#key || this.#incarnation === 0) return undefined
    this.#key = key
    const before = this.#view.get(this.#init.peer)?.objects ?? {}
    this.#counter += 1
    const record: PeerRecord = {
      format: 1,
      peer: this.#init.peer,
      incarnation: this.#incarnation,
      counter: this.#counter,
      head,
      group: this.#init.group,
      labels: this.#init.labels,
      addresses: addresses.slice(0, 8),
      objects: boundedObjects(dated(objects, before, now)),
      permit,
      ...(left ? { left } : {})
    }
    const bytes = this.#authority.sealRecord(record)
    this.#view.put({ record, bytes }, now)
    return bytes
  }
}

/** Kinds of reasons that name one after another of many peers. */
const OF_MANY: ReadonlySet<string> = new Set(['canary', 'waves', 'domains', 'afterClass', 'any', 'guard'])

/** Figures within a reason change with every piece and second, those that it waits for in turns: these alone make no new record. */
function essenceOf({ reason, why, ...object }: ObjectRecord): unknown {
  const kind = why?.kind ?? ''
  const figures = OF_MANY.has(kind) ? /…\w+( does not yet.*$)?|\d+/g : /\d+/g
  return [object, reason.replace(figures, '#'), kind, why?.statement, OF_MANY.has(kind) ? [] : why?.peers]
}

/** O20: with the time since when each object is where it is, and waits for what it waits for. */
function dated(
  objects: Readonly<Record<string, ObjectRecord>>,
  before: Readonly<Record<string, ObjectRecord>>,
  now: number
): Record<string, ObjectRecord> {
  const stage = (one: ObjectRecord) => `${one.phase}/${one.target}/${one.serving}/${one.why?.kind ?? ''}`
  const entries = Object.entries(objects).map(([name, object]) => {
    const last = before[name]
    const same = last?.since !== undefined && stage(last) === stage(object)
    return [name, { ...object, since: same ? last.since : Math.floor(now / 1000) }]
  })
  return Object.fromEntries(entries)
}
