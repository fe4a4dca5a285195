/**
 * One's own record (SPEC O3, O5): it is noted what there is to say, and signed when it is to be told.
 */
import { Refusal } from '../errors.ts'
import type { Authority, PeerInit } from './events.ts'
import { BEGUN } from './lifecycle.ts'
import type { Outbox } from './outbox.ts'
import { boundedObjects, type ObjectRecord, type PeerRecord, type PermitRecord } from './record.ts'
import { gotWorse } from './shown.ts'
import type { View } from './view.ts'

export const SNAPSHOT_FORMAT = 1

/** What a record says of this moment. */
export type Present = Pick<PeerRecord, 'head'> & {
  addresses: readonly string[]
  objects: Readonly<Record<string, ObjectRecord>>
  permit: PermitRecord | null
  left: boolean
  /** Orders to leave that earlier lives carried out. */
  obeyed: number
}

export class OwnRecord {
  readonly #init: PeerInit
  readonly #authority: Authority
  readonly #view: View
  readonly #outbox: Outbox
  #ticket: string | undefined
  /** 0 until the first start of this process: then it is silent. */
  #incarnation: number
  #counter = 0
  /** What the last record of this incarnation says, and what the next one will, if there is to be one. */
  #said: Present | undefined
  #next: Present | undefined
  /** The objects as they were noted last: since when they are so. */
  #noted: Readonly<Record<string, ObjectRecord>> = {}

  /** @param kept what an earlier life persisted as `peer`. @throws Refusal DamagedStore for another format */
  constructor(
    parts: { readonly init: PeerInit; readonly authority: Authority; readonly view: View; readonly outbox: Outbox },
    kept: unknown
  ) {
    this.#init = parts.init
    this.#authority = parts.authority
    this.#view = parts.view
    this.#outbox = parts.outbox
    this.#ticket = parts.init.ticket
    const meta = (kept ?? { format: SNAPSHOT_FORMAT, incarnation: 0 }) as { format: number; incarnation: number }
    if (meta.format !== SNAPSHOT_FORMAT) {
      throw new Refusal(
        'DamagedStore',
        `the snapshot has format ${meta.format}, this release reads ${SNAPSHOT_FORMAT}; use the release that wrote it, or a newer one`
      )
    }
    this.#incarnation = meta.incarnation
  }

  /** What its objects are now, told or not. */
  get objects(): Readonly<Record<string, ObjectRecord>> {
    return this.#noted
  }

  /** A new life, or our own voice from one whose disk is lost: speak with a later incarnation from now on. */
  outlive(incarnation: number): void {
    this.#incarnation = Math.max(this.#incarnation, incarnation) + 1
    this.#said = undefined
    this.#outbox.persist('peer', { format: SNAPSHOT_FORMAT, incarnation: this.#incarnation })
  }

  /** Another ticket admits this peer: told with the next record. */
  renew(ticket: string): void {
    this.#ticket = ticket
    this.#said = undefined
  }

  /** Takes what there is to say now. Returns who should hear of it soon; undefined if the last record says the same. */
  note(present: Present, now: number): News | undefined {
    if (this.#incarnation === 0) return undefined
    const objects = dated(present.objects, this.#noted, now)
    this.#noted = objects
    const news = this.#said === undefined ? { forFellows: true, forAll: false } : newsIn(this.#said, present)
    this.#next = news === undefined ? undefined : { ...present, objects }
    return news
  }

  /** Signs what was noted last, if anything, and puts it into the view. Returns the bytes of a record that is new. */
  seal(now: number): Uint8Array | undefined {
    const present = this.#next
    if (present === undefined) return undefined
    this.#next = undefined
    this.#said = present
    this.#counter += 1
    const { head, addresses, objects, permit, left, obeyed } = present
    const record: PeerRecord = {
      format: 1,
      peer: this.#init.peer,
      incarnation: this.#incarnation,
      counter: this.#counter,
      head,
      group: this.#init.group,
      labels: this.#init.labels,
      addresses: addresses.slice(0, 8),
      objects: boundedObjects(objects),
      permit,
      ...(left ? { left } : {}),
      ...(obeyed > 0 ? { obeyed } : {}),
      ...(this.#ticket === undefined ? {} : { ticket: this.#ticket })
    }
    const bytes = this.#authority.sealRecord(record)
    this.#view.put(this.#authority.openRecord(bytes), now)
    return bytes
  }
}

/** Kinds of reasons that name one after another of many peers. */
const OF_MANY: ReadonlySet<string> = new Set(['canary', 'waves', 'domains', 'afterClass', 'any', 'guard'])

/** What is new in a record. */
export interface News {
  /** Members of the group act on it: permits, and who serves. */
  forFellows: boolean
  /** Everybody should know it soon: failures, and where the peer is. */
  forAll: boolean
}

function newsIn(said: Present, present: Present): News | undefined {
  let isNew = said.head.hash !== present.head.hash
  let forFellows = said.left !== present.left || !same(said.permit, present.permit)
  let forAll = !same(said.addresses, present.addresses)
  for (const [name, now] of Object.entries(present.objects)) {
    const before = said.objects[name]
    if (before?.serving !== now.serving) forFellows = true
    const trouble = before?.crashes !== now.crashes || gotWorse(before?.calls) !== gotWorse(now.calls)
    if (!same(before?.failed, now.failed) || trouble || isDown(before) !== isDown(now)) forAll = true
    isNew ||= before === undefined || !saysTheSame(before, now)
  }
  return isNew || forFellows || forAll ? { forFellows, forAll } : undefined
}

/** Not for an upgrade. */
const isDown = (one: ObjectRecord | undefined): boolean =>
  one !== undefined && one.version > 0 && !one.serving && !BEGUN.has(one.phase)

/** Figures within a reason change with every piece and second, those that it waits for in turns: these alone make no new record. */
function saysTheSame(a: ObjectRecord, b: ObjectRecord): boolean {
  const kind = a.why?.kind ?? ''
  const figures = OF_MANY.has(kind) ? /…\w+( does not yet.*$)?|\d+/g : /\d+/g
  return (
    a.version === b.version &&
    a.entry === b.entry &&
    a.lowest === b.lowest &&
    a.highest === b.highest &&
    a.phase === b.phase &&
    a.target === b.target &&
    same(a.calls, b.calls) &&
    a.why?.kind === b.why?.kind &&
    a.why?.statement === b.why?.statement &&
    (OF_MANY.has(kind) || same(a.why?.peers, b.why?.peers)) &&
    (a.reason === b.reason || a.reason.replace(figures, '#') === b.reason.replace(figures, '#'))
  )
}

/** Of plain values. */
const same = (a: unknown, b: unknown): boolean =>
  a === b || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b))

const stageOf = (one: ObjectRecord): string => `${one.phase}/${one.target}/${one.serving}/${one.why?.kind ?? ''}`

/** Of records: most fields are texts and numbers. */
function isSameObject(a: ObjectRecord, b: ObjectRecord): boolean {
  for (const field of Object.keys(b) as (keyof ObjectRecord)[]) if (!same(a[field], b[field])) return false
  return Object.keys(a).length === Object.keys(b).length
}

/** O20: with the time since when each object is where it is, and waits for what it waits for. */
function dated(
  objects: Readonly<Record<string, ObjectRecord>>,
  before: Readonly<Record<string, ObjectRecord>>,
  now: number
): Readonly<Record<string, ObjectRecord>> {
  let isSame = Object.keys(objects).length === Object.keys(before).length
  const entries = Object.entries(objects).map(([name, object]) => {
    const last = before[name]
    const since = last?.since !== undefined && stageOf(last) === stageOf(object) ? last.since : Math.floor(now / 1000)
    const one = { ...object, since }
    if (last !== undefined && isSameObject(last, one)) return [name, last]
    isSame = false
    return [name, one]
  })
  // What did not change stays one object: records, and what they were made of, are held by every peer.
  if (isSame) return before
  return Object.fromEntries(entries)
}
