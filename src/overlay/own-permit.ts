/** The permit of one peer: which of its objects asks for it or holds it, and its durable part in the group's (SPEC P). */
import type { HostedObject } from './object.ts'
import type { Outbox } from './outbox.ts'
import {
  decidePermits,
  noPermits,
  type PermitSight,
  type PermitState,
  permitBlockers,
  permitRecord,
  sayPermit
} from './permits.ts'
import type { PermitRecord } from './record.ts'
import { permitSight, type SightInit } from './sight.ts'

export class OwnPermit {
  state: PermitState
  /** The object that asks for it, or holds it: one at a time. */
  #owner = ''
  /** Undefined without a group. */
  readonly #sight: PermitSight | undefined
  readonly #outbox: Outbox

  /** @param kept what an earlier life persisted as `permit` */
  constructor(parts: SightInit & { readonly group: string | null; readonly outbox: Outbox }, kept: unknown) {
    this.state = (kept as PermitState | undefined) ?? noPermits
    this.#outbox = parts.outbox
    if (parts.group !== null) this.#sight = permitSight(parts, parts.group)
  }

  get record(): PermitRecord | null {
    return this.#sight === undefined ? null : permitRecord(this.state, this.#sight.group)
  }

  isHeldFor(object: string): boolean {
    return this.state.holding && this.#owner === object
  }

  /** Why it is not there yet, and whom that is about, for operators. */
  say(unavailable: number): { sentence: string; peers: string[] } {
    if (this.#sight === undefined) {
      const sentence = 'its schedule is rolling by group, but this peer has no group; start it with --group'
      return { sentence, peers: [] }
    }
    const sentence = sayPermit(this.state, this.#sight, unavailable)
    return { sentence, peers: permitBlockers(this.state, this.#sight, unavailable) }
  }

  /** Other members by the newest roster, less those excluded: how many are known to serve. */
  fellows(): { group: string; serving: number; down: number } | undefined {
    const sight = this.#sight
    if (sight === undefined) return undefined
    const { group } = sight
    const number = sight.newestRoster()
    const roster = sight.roster(number)
    if (roster === undefined) return undefined
    const others = roster.members.filter((peer) => peer !== sight.self && !sight.excluded(peer, number))
    const down = others.filter((peer) => sight.down(peer) !== undefined).length
    return { group, serving: others.length - down, down }
  }

  /** One step of the protocol. Returns whether anything changed. */
  decide(objects: Iterable<HostedObject>): boolean {
    if (this.#sight === undefined) return false
    const wishing = [...objects].filter((object) => object.begun || object.wish.unavailable !== null)
    const owner =
      wishing.find((object) => object.begun) ??
      wishing.find((object) => object.state.object === this.#owner) ??
      wishing[0]
    const moved = this.#owner !== (owner?.state.object ?? '')
    this.#owner = owner?.state.object ?? ''
    const next = decidePermits(this.state, this.#sight, owner?.wish ?? { unavailable: null, begun: false })
    // Held for another object now: it may begin.
    if (next === this.state) return moved && next.holding
    this.state = next
    this.#outbox.persist('permit', next)
    return true
  }
}
