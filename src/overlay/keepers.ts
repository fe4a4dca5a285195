/**
 * Who keeps which bundle (SPEC B1 to B6): every peer what it needs itself; the rest, for late and returning peers, the
 * few whose hash with the bundle is lowest among the peers that are known.
 */

import type { Generator as Random } from '../prng.ts'
import { SmallMap } from '../small.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { PeerLimits } from './events.ts'
import { type NeedingObject, neededBundles } from './needs.ts'
import type { Outbox } from './outbox.ts'
import { Pieces, type Reach } from './pieces.ts'
import { hasLeft } from './record.ts'
import type { View } from './view.ts'

/** r: keepers of a bundle that nobody may need any more. */
export const KEEPERS = 3
/** Peers that are asked for such a bundle: their own views may name others lower than themselves. */
const ASKED = 8
/** Duties are looked at again at most so often while only the view changes. */
const LOOK_MS = 60_000
/** A keeper fetches what it only keeps for others after all that it needs. */
const DUTY = 2_000_000

export interface KeepersInit {
  self: string
  log: UpgradeLog
  statements: StatementSet
  view: View
  limits: PeerLimits
  generator: Random
  outbox: Outbox
  authority: { hash53(text: string): number }
  readonly objects: { values(): Iterable<NeedingObject> }
  readonly membership: { connect(peer: string): boolean }
}

export class Keepers implements Reach {
  readonly pieces: Pieces
  readonly #init: KeepersInit
  #situation = ''
  #seenView = -1
  #lookedAt = 0
  /** Bundles that are held and not to be kept: since when. Counted anew after a restart, which only keeps them longer. */
  readonly #idleSince = new SmallMap<string, number>()
  #isWithOld = false

  constructor(init: KeepersInit) {
    this.#init = init
    this.pieces = new Pieces(init.limits, init.generator, init.outbox, this)
  }

  /** Whether the duties of this peer depend on whom it knows: not before a bundle is needed no more. */
  get watchesView(): boolean {
    return this.#isWithOld
  }

  /** Decides what is fetched and what is removed. Returns when to look again, ms. */
  turn(now: number): number {
    const { view } = this.#init
    const situation = this.#situationNow()
    const viewMoved = this.#isWithOld && view.changes !== this.#seenView
    const lookAt = viewMoved ? this.#lookedAt + LOOK_MS : Number.POSITIVE_INFINITY
    if (situation !== this.#situation || lookAt <= now) {
      this.#situation = situation
      this.#seenView = view.changes
      this.#lookedAt = now
      this.#assign(now)
    }
    return Math.min(this.#removeIdle(now), lookAt > now ? lookAt : Number.POSITIVE_INFINITY)
  }

  /** O12: why a peer must not leave these neighbours yet: everybody needs the newest bundle (B1), and it may hold the only one. */
  soleCopy(neighbours: Iterable<string>): string | undefined {
    const { log, statements } = this.#init
    const newest = log.chain.at(-1)
    const sha256 = newest?.manifest.bundle.sha256 ?? ''
    const [held, all] = this.pieces.share(sha256)
    const staying = [...neighbours].filter((peer) => statements.leaves(peer).length === 0)
    if (held < all || staying.length === 0 || staying.some((peer) => this.pieces.isHeldBy(peer, sha256)))
      return undefined
    return newest === undefined
      ? undefined
      : `hands on the bundle of version ${newest.version}, which no neighbour is known to hold`
  }

  /** Peers that should hold a bundle, the likeliest first. */
  holders(sha256: string): string[] {
    const places: [place: number, peer: string][] = []
    for (const peer of this.#others()) places.push([this.#place(sha256, peer), peer])
    places.sort((a, b) => a[0] - b[0])
    return places.slice(0, ASKED).map(([, peer]) => peer)
  }

  connect(peer: string): boolean {
    return this.#init.membership.connect(peer)
  }

  #assign(now: number): void {
    const { log, statements } = this.#init
    const { pieces } = this
    const needed = neededBundles(log, this.#init.objects.values())
    const kept = new Set<string>()
    this.#isWithOld = false
    for (const entry of log.entries()) {
      const { bundle } = entry.manifest
      const place = needed.get(bundle.sha256)
      if (place === undefined) this.#isWithOld = true
      if (place === undefined && !statements.forgotten(entry.hash) && this.#isKeeper(bundle.sha256))
        kept.add(bundle.sha256)
    }
    // Two entries may name one bundle: it is kept if one of them says so.
    for (const entry of log.entries()) {
      const { bundle } = entry.manifest
      const place = needed.get(bundle.sha256) ?? (kept.has(bundle.sha256) ? DUTY + entry.version : undefined)
      pieces.want(bundle, entry.version)
      pieces.arrange(bundle.sha256, place, needed.has(bundle.sha256))
      if (place !== undefined || !pieces.holdsAny(bundle.sha256)) this.#idleSince.delete(bundle.sha256)
      else if (!this.#idleSince.has(bundle.sha256)) this.#idleSince.set(bundle.sha256, now)
    }
  }

  #removeIdle(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const [sha256, since] of this.#idleSince) {
      const at = Math.max(since, this.pieces.wantedAt(sha256)) + this.#init.limits.keepMs
      if (at > now) next = Math.min(next, at)
      else {
        if (this.pieces.remove(sha256)) this.#idleSince.delete(sha256)
        else this.#idleSince.set(sha256, now)
      }
    }
    return next
  }

  /** B2: among the lowest by rendezvous hash. */
  #isKeeper(sha256: string): boolean {
    const own = this.#place(sha256, this.#init.self)
    let lower = 0
    for (const peer of this.#others()) {
      if (this.#place(sha256, peer) < own) lower += 1
      if (lower >= KEEPERS) return false
    }
    return true
  }

  *#others(): Generator<string> {
    for (const { record } of this.#init.view.all())
      if (record.peer !== this.#init.self && !hasLeft(record)) yield record.peer
  }

  #place(sha256: string, peer: string): number {
    return this.#init.authority.hash53(`${sha256}/${peer}`)
  }

  /** What needs follow from, in short: cheap to make at every step. */
  #situationNow(): string {
    const { log, statements } = this.#init
    let situation = `${log.size}/${statements.size}/${this.pieces.arrivals}`
    for (const { state } of this.#init.objects.values()) {
      const { current, phase, futures } = state
      const entry = 'entry' in phase ? phase.entry : ''
      situation += `/${state.object}:${current?.entry ?? ''}:${entry}:${futures.join()}`
    }
    return situation
  }
}
