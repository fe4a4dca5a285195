/**
 * Permits: never more than k of a group down for the upgrade (SPEC P). State-based: asks, grants and releases are
 * fields of signed records, so loss, duplication, reordering and replay of messages cannot break what holds:
 *
 *   P1  a holder has ⌊n·k/(k+1)⌋ + 1 own grants, of members of the roster it asked under, for this very attempt;
 *   P2  a member gives a grant only while it has fewer than k outstanding, inherited ones included, all of the same k;
 *   P3  a grant is durable before anyone hears of it, and ends only with the holder's release, never by time;
 *   P4  attempts are durable and only grow; an attempt released is never granted again;
 *   P5  a member that adopted roster r gives no grant under an older one;
 *   P6  it gives grants under r only when a quorum of r − 1 adopted r (roster 1: at once), and then counts what those
 *       members have outstanding as its own burden (inherited).
 *
 * k + 1 holders would need more than n·k grants of n members that give at most k each: impossible (P1, P2). Two rosters:
 * the quorum of adopters meets every quorum of r − 1, so every holder there, present or future, is inherited (P5, P6).
 */
import type { Roster } from '../upgrade/statements.ts'
import type { Grant, PermitRecord } from './record.ts'

/** Durable. `released` by holder: the newest release heard of (P4). */
export interface PermitState {
  adopted: number
  active: number
  attempt: number
  asking: number
  askedUnder: number
  unavailable: number
  holding: boolean
  grants: Grant[]
  released: Record<string, number>
}

export const noPermits: PermitState = {
  adopted: 0,
  active: 0,
  attempt: 0,
  asking: 0,
  askedUnder: 0,
  unavailable: 1,
  holding: false,
  grants: [],
  released: {}
}

/** What a member sees when it decides. All functions answer from its own view; none is trusted for safety but records. */
export interface PermitSight {
  self: string
  group: string
  newestRoster(): number
  roster(number: number): Roster | undefined
  /** The newest verified permit record of a member of this group. */
  record(peer: string): PermitRecord | undefined
  /** Whether an operator stated that a member is gone for good, as far as this roster goes (P10). */
  excluded(peer: string, roster: number): boolean
  /** Why a member counts as down, or undefined if it serves. */
  down(peer: string): string | undefined
  hash53(text: string): number
}

/** What the node wants: a permit with this k, or none. `begun`: the object has stopped serving; only its end releases. */
export interface PermitWish {
  unavailable: number | null
  begun: boolean
}

export const quorum = (members: number, unavailable: number): number =>
  Math.floor((members * unavailable) / (unavailable + 1)) + 1

/** One step of the permit protocol: the state that follows from what is seen. The same object if nothing changes. */
export function decidePermits(state: PermitState, sight: PermitSight, wish: PermitWish): PermitState {
  let next = noteReleases(state, sight)
  next = adopt(next, sight)
  next = release(next, sight, wish)
  next = ask(next, sight, wish)
  next = grant(next, sight)
  if (next.asking > 0 && !next.holding && mayHold(next, sight)) next = { ...next, holding: true }
  return next
}

/** P3, P4, P10: a grant ends with the holder's own release, or its exclusion. */
function noteReleases(state: PermitState, sight: PermitSight): PermitState {
  let { released } = state
  for (const { holder } of state.grants) {
    const heard = holder === sight.self ? releasedBy(state) : (sight.record(holder)?.released ?? 0)
    if (heard > (released[holder] ?? 0)) released = { ...released, [holder]: heard }
  }
  const grants = state.grants.filter(
    ({ holder, attempt, roster }) => attempt > (released[holder] ?? 0) && !sight.excluded(holder, roster)
  )
  if (released === state.released && grants.length === state.grants.length) return state
  return { ...state, released, grants }
}

const releasedBy = (state: PermitState): number => (state.asking > 0 ? state.asking - 1 : state.attempt)

/** P5, P6. */
function adopt(state: PermitState, sight: PermitSight): PermitState {
  const newest = sight.newestRoster()
  let next = state.adopted < newest ? { ...state, adopted: newest } : state
  while (next.active < next.adopted) {
    // A newcomer, which never gave a grant, may begin at any roster whose predecessor's quorum it hears of.
    const candidates = next.active === 0 ? range(1, next.adopted).reverse() : [next.active + 1]
    const found = candidates.map((number) => activate(next, number, sight)).find((activated) => activated !== undefined)
    if (found === undefined) return next
    next = found
  }
  return next
}

function activate(state: PermitState, number: number, sight: PermitSight): PermitState | undefined {
  if (number === 1) return { ...state, active: 1 }
  const before = sight.roster(number - 1)
  if (before === undefined || before.disputed) return undefined
  const own: PermitRecord = permitRecord(state, sight.group)
  const adopters = before.members
    .map((peer) => (peer === sight.self ? own : sight.record(peer)))
    .filter((record) => record !== undefined && record.adopted >= number && record.active >= number - 1)
  // A majority meets every quorum of holders, whatever their k: quorum(n, k) ≥ quorum(n, 1).
  if (adopters.length < quorum(before.members.length, 1)) return undefined
  let { grants } = state
  for (const grant of adopters.flatMap((record) => record!.grants)) {
    const known = grants.some((one) => one.holder === grant.holder && one.attempt === grant.attempt)
    if (known || grant.roster >= number) continue
    if (grant.attempt <= (state.released[grant.holder] ?? 0) || sight.excluded(grant.holder, grant.roster)) continue
    grants = [...grants, { ...grant, own: false }]
  }
  return { ...state, active: number, grants }
}

/** Gives back what is not wanted any more, and gives way to an earlier member while short of the quorum. */
function release(state: PermitState, sight: PermitSight, wish: PermitWish): PermitState {
  if (state.asking === 0 || wish.begun) return state
  const unwanted = wish.unavailable === null || (!state.holding && wish.unavailable !== state.unavailable)
  const outdated = !state.holding && state.askedUnder !== state.active
  const yields = !state.holding && !mayHold(state, sight) && earlierAsker(state, sight) !== undefined
  // P8: whoever may not begin hinders nobody; the member that is down may need a permit itself, to come up again.
  const hindered = permitObstacle(state, sight) !== undefined
  return unwanted || outdated || yields || hindered ? endAttempt(state, sight.self) : state
}

/** The holder's release of its attempt: for ever (P4). */
export function endAttempt(state: PermitState, self: string): PermitState {
  const released = { ...state.released, [self]: state.attempt }
  return {
    ...state,
    asking: 0,
    askedUnder: 0,
    holding: false,
    released,
    grants: state.grants.filter((grant) => grant.holder !== self)
  }
}

function ask(state: PermitState, sight: PermitSight, wish: PermitWish): PermitState {
  if (wish.unavailable === null || wish.begun || state.asking > 0) return state
  const candidate = { ...state, askedUnder: state.active, unavailable: wish.unavailable }
  if (permitObstacle(candidate, sight) !== undefined || earlierAsker(candidate, sight) !== undefined) return state
  return { ...candidate, attempt: state.attempt + 1, asking: state.attempt + 1 }
}

/** P2: to askers in salted-hash order, oneself among them. */
function grant(state: PermitState, sight: PermitSight): PermitState {
  const roster = sight.roster(state.active)
  if (roster === undefined || roster.disputed || state.active !== state.adopted || !roster.members.includes(sight.self))
    return state
  let { grants } = state
  for (const holder of inOrder(roster, sight)) {
    const asked = holder === sight.self ? permitRecord(state, sight.group) : sight.record(holder)
    if (asked === undefined || asked.asking === 0 || asked.askedUnder !== state.active) continue
    const { asking: attempt, unavailable } = asked
    if (sight.excluded(holder, state.active)) continue
    if (attempt <= (state.released[holder] ?? 0) || grants.some((one) => one.holder === holder)) continue
    const sameK = grants.every((one) => one.unavailable === unavailable)
    if (grants.length >= unavailable || !sameK) continue
    grants = [...grants, { holder, attempt, roster: state.active, unavailable, own: true }]
  }
  return grants === state.grants ? state : { ...state, grants }
}

/** P1, and nobody else may be down so that more than k were. */
function mayHold(state: PermitState, sight: PermitSight): boolean {
  const roster = sight.roster(state.askedUnder)
  return (
    roster !== undefined &&
    permitObstacle(state, sight) === undefined &&
    grantsFor(state, sight, roster) >= quorum(roster.members.length, state.unavailable)
  )
}

function grantsFor(state: PermitState, sight: PermitSight, roster: Roster): number {
  return roster.members.filter((peer) => {
    const grants = peer === sight.self ? state.grants : (sight.record(peer)?.grants ?? [])
    return grants.some(
      (one) => one.own && one.holder === sight.self && one.attempt === state.asking && one.roster === state.askedUnder
    )
  }).length
}

/** Who may have been granted something under either of the two is known to nobody: no later roster can go on from it. */
const sayDisputed = ({ group, number }: Roster): string =>
  `roster ${number} of group ${group} is disputed: two statements name different members, and no later roster can tell who was granted what; start its members under another --group, and sign a roster of that one`

/** Why no permit can be asked for now, in one sentence; undefined if it can. */
export function permitObstacle(state: PermitState, sight: PermitSight): string | undefined {
  if (state.active === 0 || state.active !== state.adopted) {
    if (state.adopted === 0) return `group ${sight.group} has no roster; an operator signs one with upstart roster`
    const before = sight.roster(state.adopted - 1)
    if (before?.disputed) return sayDisputed(before)
    return `roster ${state.adopted} of group ${sight.group} waits until a majority of roster ${state.active === 0 ? state.adopted - 1 : state.active} adopted it`
  }
  const roster = sight.roster(state.askedUnder === 0 ? state.active : state.askedUnder)
  if (roster === undefined) return `roster ${state.askedUnder} of group ${sight.group} is not known`
  if (roster.disputed) return sayDisputed(roster)
  if (!roster.members.includes(sight.self)) return `this peer is not in roster ${roster.number} of group ${sight.group}`
  if (sight.excluded(sight.self, roster.number))
    return `this peer is excluded from group ${sight.group}; a new roster that names it lets it in again`
  const others = roster.members.filter((peer) => peer !== sight.self && !sight.excluded(peer, roster.number))
  const needed = quorum(roster.members.length, state.unavailable)
  if (others.length + 1 < needed)
    return `of roster ${roster.number} of group ${sight.group} ${others.length + 1} of ${roster.members.length} are not excluded, and a permit needs ${needed} grants; sign roster ${roster.number + 1} without those excluded`
  const down = others.map((peer) => ({ peer, why: sight.down(peer) }))
  const missing = down.filter((one) => one.why !== undefined)
  if (missing.length < state.unavailable) return undefined
  return `${missing.length} of group ${sight.group} may not be down beside it (at most ${state.unavailable} in all): ${missing.map((one) => `${shortPeer(one.peer)} ${one.why}`).join(', ')}`
}

/** One sentence for operators: where the permit stands. */
export function sayPermit(state: PermitState, sight: PermitSight, unavailable: number): string {
  const candidate = state.asking > 0 ? state : { ...state, askedUnder: state.active, unavailable }
  const obstacle = permitObstacle(candidate, sight)
  if (obstacle !== undefined) return obstacle
  if (state.asking === 0) {
    const earlier = earlierAsker(candidate, sight)
    return earlier === undefined
      ? `asks group ${sight.group} for a permit`
      : `lets ${shortPeer(earlier)} of group ${sight.group} go first`
  }
  const roster = sight.roster(state.askedUnder)!
  return `has ${grantsFor(state, sight, roster)} of the ${quorum(roster.members.length, state.unavailable)} grants of group ${sight.group} that a permit needs`
}

/** Whom a member waits for that has no permit yet: who is down, who goes first, or who has the grants that it lacks. */
export function permitBlockers(state: PermitState, sight: PermitSight, unavailable: number): string[] {
  const candidate = state.asking > 0 ? state : { ...state, askedUnder: state.active, unavailable }
  const roster = sight.roster(candidate.askedUnder)
  if (roster === undefined) return []
  const others = roster.members.filter((peer) => peer !== sight.self && !sight.excluded(peer, roster.number))
  const down = others.filter((peer) => sight.down(peer) !== undefined)
  if (down.length >= candidate.unavailable) return down
  const earlier = state.asking === 0 ? earlierAsker(candidate, sight) : undefined
  if (earlier !== undefined) return [earlier]
  const given = [...state.grants, ...others.flatMap((peer) => sight.record(peer)?.grants ?? [])]
  return [...new Set(given.map((one) => one.holder))].filter((peer) => peer !== sight.self)
}

/** An earlier member in salted order that asks, has not its quorum yet, and can be reached. */
function earlierAsker(state: PermitState, sight: PermitSight): string | undefined {
  const roster = sight.roster(state.askedUnder)
  if (roster === undefined) return undefined
  for (const peer of inOrder(roster, sight)) {
    if (peer === sight.self) return undefined
    const record = sight.record(peer)
    if (sight.excluded(peer, state.askedUnder)) continue
    const waits = record !== undefined && record.asking > 0 && !record.holding && record.askedUnder === state.askedUnder
    if (waits && sight.down(peer) === undefined) return peer
  }
  return undefined
}

function inOrder(roster: Roster, sight: PermitSight): string[] {
  const place = (peer: string) => sight.hash53(`${roster.group}/${roster.number}/${peer}`)
  return [...roster.members].sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1))
}

export function permitRecord(state: PermitState, group: string): PermitRecord {
  const { adopted, active, asking, askedUnder, unavailable, holding, grants } = state
  return { group, adopted, active, asking, askedUnder, unavailable, holding, released: releasedBy(state), grants }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)
export const shortPeer = (peer: string): string => `…${peer.slice(-6)}`
