/**
 * The furthest behind of a fleet (SPEC O25): the peers whose objects are the most versions behind the log's newest. Their
 * records are pinned in every view and offered first, so that everybody knows whom an old version is still for.
 */
import type { UpgradeLog } from '../upgrade/log.ts'
import type { PeerLimits } from './events.ts'
import { hasLeft, type PeerRecord } from './record.ts'
import type { Pins, View } from './view.ts'

const MAX_LAGGARDS = 8

export interface LaggardsInit {
  log: UpgradeLog
  readonly limits: Pick<PeerLimits, 'view'>
  hash53(text: string): number
  readonly view: View
}

interface Laggard {
  peer: string
  behind: number
  place: number
}

export class Laggards implements Pins {
  readonly #init: LaggardsInit
  /** The furthest behind first; equal ones in an order that everybody shares. */
  #pinned: Laggard[] = []
  #knownLog = -1
  #stale = false

  constructor(init: LaggardsInit) {
    this.#init = init
  }

  /** Who they are, the furthest behind first; nobody where all are at the newest versions. */
  peers(): string[] {
    return this.#current().map((one) => one.peer)
  }

  has(peer: string): boolean {
    return this.#current().some((one) => one.peer === peer)
  }

  wants(record: PeerRecord): boolean {
    const one = this.#laggard(record)
    const pinned = this.#current()
    return one.behind > 0 && (pinned.length < this.#most || isBefore(one, pinned.at(-1)!))
  }

  note(record: PeerRecord): void {
    const one = this.#laggard(record)
    const pinned = this.#current()
    const known = pinned.find(({ peer }) => peer === record.peer)
    if (known?.behind === one.behind) return
    // Somebody else may be further behind than one that came nearer: who, the view knows.
    if (known !== undefined) this.#stale = true
    else this.#insert(one)
  }

  forget(peer: string): void {
    if (this.#pinned.some((one) => one.peer === peer)) this.#stale = true
  }

  get #most(): number {
    return Math.min(MAX_LAGGARDS, Math.floor(this.#init.limits.view / 8))
  }

  #current(): readonly Laggard[] {
    const { log, view } = this.#init
    if (!this.#stale && this.#knownLog === log.size) return this.#pinned
    this.#knownLog = log.size
    this.#stale = false
    this.#pinned = []
    for (const { record } of view.all()) this.#insert(this.#laggard(record))
    return this.#pinned
  }

  #insert(one: Laggard): void {
    if (one.behind === 0) return
    const at = this.#pinned.findIndex((other) => isBefore(one, other))
    this.#pinned.splice(at < 0 ? this.#pinned.length : at, 0, one)
    if (this.#pinned.length > this.#most) this.#pinned.pop()
  }

  /** An object without state is behind nobody: it needs no version but the newest. */
  #laggard(record: PeerRecord): Laggard {
    const { log, hash53 } = this.#init
    let behind = 0
    for (const [object, { version }] of hasLeft(record) ? [] : Object.entries(record.objects)) {
      if (version === 0) continue
      const ahead = log.schema.versions(object).filter((one) => one.version > version)
      behind = Math.max(behind, ahead.length)
    }
    const place = behind === 0 ? 0 : hash53(`behind/${log.head.hash}/${record.peer}`)
    return { peer: record.peer, behind, place }
  }
}

const isBefore = (a: Laggard, b: Laggard): boolean =>
  a.behind > b.behind || (a.behind === b.behind && a.place < b.place)
