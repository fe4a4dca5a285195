/**
 * What must hold in every state of every run (SPEC M12 to M17), looked at on every event. A checker reads effects,
 * durable writes and host commands, not the peer's own opinion of itself, so a peer cannot talk it out of a violation.
 */

import type { Effect } from '../src/overlay/events.ts'
import { type ObjectState, TRANSITIONS } from '../src/overlay/lifecycle.ts'
import { type Message, messageSchema } from '../src/overlay/messages.ts'
import type { PermitState } from '../src/overlay/permits.ts'
import type { Head, PeerRecord, PhaseName } from '../src/overlay/record.ts'
import type { Entry } from '../src/upgrade/manifest.ts'
import type { World } from './authority.ts'
import { Canaries } from './canaries.ts'
import { Claims } from './claims.ts'
import type { Disk } from './disk.ts'

/** The rules, as docs/SPEC.md words them. */
export type Rule =
  | 'M12' // nothing unverified runs or is passed on
  | 'M13' // the host is driven in the legal order, and life cycles go legal ways
  | 'M14' // acknowledged writes survive
  | 'M15' // never more than k of a group down for the upgrade
  | 'M16' // the view is bounded
  | 'M17' // an idle fleet backs off
  | 'M18' // everything converges once faults stop
  | 'M19' // a peer does not throw
  | 'M20' // nothing aborted or replaced is committed by a peer that knows of it
  | 'M22' // nobody leaves while it is down for the upgrade, or holds a permit
  | 'M23' // what is sent is a message to its receiver
  | 'M40' // no peer runs, and none commits, what it knows to be disputed
  | 'M41' // nobody goes before canaries have shown that it works
  | 'M42' // what is said is durable
  | 'M43' // what a record says is served is served
  | 'M44' // every call ends
  | 'M49' // nobody begins what it knows to be paused
  | 'M21' // an idle fleet is one connected graph of neighbours on both sides

export interface Violation {
  rule: Rule
  atMs: number
  peer: string
  text: string
  /** The peer's last events, oldest first. */
  history: string[]
}

/** Phases that tell the host to do nothing: a step may pass through any of them on its way (L1). */
const PASSIVE: ReadonlySet<PhaseName> = new Set(['idle', 'fetching', 'waiting'])

/** With these an upgrade begins. */
const BEGINS: ReadonlySet<PhaseName> = new Set(['warming', 'draining'])

const keyOf = ({ version, hash }: Entry): string => `entry/${String(version).padStart(7, '0')}/${hash}`

/** Of a root, on disk. */
export const rootKey = ({ version, hash }: Head): string => `root/${String(version).padStart(7, '0')}/${hash}`

/** Whether a step may lead from one durable phase to another. `isEmpty`: there is nothing to return to, and nothing to do for it. */
export function mayLead(from: PhaseName, to: PhaseName, isEmpty = false): boolean {
  if (from === to) return true
  const seen = new Set<PhaseName>([from])
  const open: PhaseName[] = [from]
  for (let phase = open.pop(); phase !== undefined; phase = open.pop()) {
    for (const next of TRANSITIONS[phase]) {
      if (next === to) return true
      if ((PASSIVE.has(next) || (isEmpty && next === 'returning')) && !seen.has(next)) {
        seen.add(next)
        open.push(next)
      }
    }
  }
  return false
}

export interface Watched {
  readonly index: number
  readonly id: string
  /** Index of its group, −1 for none. */
  readonly group: number
  readonly disk: Pick<Disk, 'isUnpacked'>
  readonly durable: ReadonlyMap<string, unknown>
  readonly viewSize: number
  readonly viewLimit: number
  /** Contacts beside the neighbours, and how many there may be. */
  readonly contacts: number
  readonly contactLimit: number
  /** What its clock shows, ms. */
  readonly clockMs: number
  /** Grows with every start of the process. */
  readonly process: number
  /** The newest record that the peer signed. */
  readonly record: PeerRecord | undefined
  /** Records of others that the peer has. */
  known(): Iterable<PeerRecord>
}

/** Of a large fleet one peer in so many has its claims checked, and views are looked at after every so many steps: what grows beyond its bound stays there. */
const SAMPLED = 16

export class Checkers {
  readonly violations: Violation[] = []
  /** Most members of any group that were down for the upgrade at once. */
  groupDownMax = 0
  readonly #world: World
  readonly #mostDown: number
  readonly #record: (rule: Rule, machine: Watched, text: string) => Violation
  readonly #isStrict: boolean
  #steps = 0
  readonly #down: Int32Array
  /** node/object keys of objects that are down for the upgrade. */
  readonly #downObjects = new Map<number, Set<string>>()
  readonly claims = new Claims((rule, machine, text) => this.violation(rule, machine, text))
  readonly #canaries: Canaries

  /** @param mostDown k: of each group, members that may be down for the upgrade at once. */
  constructor(
    world: World,
    groups: number,
    mostDown: number,
    isStrict: boolean,
    record: (rule: Rule, machine: Watched, text: string) => Violation
  ) {
    this.#world = world
    this.#canaries = new Canaries(world, (machine, text) => this.violation('M41', machine, text))
    this.#mostDown = mostDown
    this.#isStrict = isStrict
    this.#record = record
    this.#down = new Int32Array(Math.max(groups, 1))
  }

  violation(rule: Rule, machine: Watched, text: string): void {
    this.violations.push(this.#record(rule, machine, text))
  }

  /** What a step wants done, before any of it is done. */
  onStep(machine: Watched, effects: readonly Effect[]): void {
    if (this.#isStrict || machine.index % SAMPLED === 0) this.claims.onStep(machine, effects)
    for (const effect of effects) {
      if (effect.type === 'send' && this.#isStrict) this.#wellFormed(machine, effect.message)
      if (effect.type === 'send' && effect.message.kind === 'delta') {
        for (const bytes of effect.message.entries) this.#authentic(machine, 'entry', bytes)
        for (const bytes of effect.message.statements) this.#authentic(machine, 'statement', bytes)
        // Most of all bytes: a large fleet's are looked at by who receives them, who blames the sender.
        if (this.#isStrict) for (const bytes of effect.message.records) this.#authentic(machine, 'record', bytes)
      } else if (effect.type === 'left') this.#onLeft(machine)
      else if (effect.type === 'publish') this.#authentic(machine, effect.topic, effect.bytes)
    }
    this.#steps += 1
    if (!this.#isStrict && this.#steps % SAMPLED !== 0) return
    if (machine.viewSize > machine.viewLimit) {
      this.violation('M16', machine, `its view holds ${machine.viewSize} records, the bound is ${machine.viewLimit}`)
    }
    if (machine.contacts > machine.contactLimit)
      this.violation('M16', machine, `it keeps ${machine.contacts} contacts, the bound is ${machine.contactLimit}`)
  }

  /** Nobody waits for a peer that left: it must not take a place among those that are down with it. */
  #onLeft(machine: Watched): void {
    const down = this.#downObjects.get(machine.index)?.size ?? 0
    if (down > 0) this.violation('M22', machine, 'it leaves while it is down for the upgrade')
    const permit = machine.durable.get('permit') as PermitState | undefined
    if (permit?.holding === true) this.violation('M22', machine, 'it leaves with a permit in its hands')
  }

  /** The driver of the receiver would end the session of whoever sends what is no message. */
  #wellFormed(machine: Watched, message: Message): void {
    const parsed = messageSchema.safeParse(message)
    if (parsed.success) return
    const [issue] = parsed.error.issues
    this.violation(
      'M23',
      machine,
      `it sends a ${message.kind} that is none: ${issue?.path.join('.')}: ${issue?.message}`
    )
  }

  #authentic(machine: Watched, kind: 'entry' | 'statement' | 'record', bytes: Uint8Array): void {
    if (!this.#world.isAuthentic(kind, bytes))
      this.violation('M12', machine, `it passes on a ${kind} that nobody signed`)
    else if (kind !== 'record' && this.#world.roots.length > 1 && !this.#isCovered(machine, kind, bytes))
      this.violation('M12', machine, `it takes or passes on a ${kind} that its newest root does not cover`)
  }

  /** T14: by the roots that the machine has on disk, or by later ones: what waits for its disk may have come with them. */
  #isCovered({ durable }: Watched, kind: 'entry' | 'statement', bytes: Uint8Array): boolean {
    const { roots } = this.#world
    const known = roots.filter((root) => root.version === 1 || durable.has(rootKey(root))).length
    return roots.some((_, at) => at + 1 >= known && this.#world.isCovered(kind, bytes, roots.slice(0, at + 1)))
  }

  /** A durable write, with what it replaces. */
  onPut(machine: Watched, key: string, value: unknown, before: unknown): void {
    if (key.startsWith('entry/')) {
      this.#authentic(machine, 'entry', value as Uint8Array)
      this.#canaries.onEntry(machine, this.#world.entryOf(key.slice(key.lastIndexOf('/') + 1)))
    } else if (key.startsWith('statement/')) this.#authentic(machine, 'statement', value as Uint8Array)
    else if (key.startsWith('object/')) this.#onObject(machine, value as ObjectState, before as ObjectState | undefined)
  }

  #onObject(machine: Watched, after: ObjectState, before: ObjectState | undefined): void {
    const from = before?.phase.name ?? 'idle'
    const to = after.phase.name
    const say = (text: string) => this.violation('M13', machine, `${after.object}: ${text}`)
    if (!mayLead(from, to, after.current === null)) say(`a life goes from ${from} to ${to}`)
    if (before !== undefined && after.attempts < before.attempts)
      say(`attempts fell from ${before.attempts} to ${after.attempts}`)
    if (from !== to && BEGINS.has(to)) this.#onBegins(machine, after)
    const [old, current] = [before?.current ?? null, after.current]
    if (old !== null && current === null) say(`its committed version ${old.version} is forgotten`)
    if (current === null || (old?.version === current.version && old.attempt === current.attempt)) return
    if (to !== 'activating') say(`version ${current.version} is committed while ${to}`)
    const skipped = this.#world.entries.slice(old?.version ?? current.version - 1, current.version - 1)
    const replaced = this.#replaced(machine)
    if (skipped.some((entry) => !replaced.has(entry.hash))) say(`version ${current.version} follows ${old?.version}`)
    const entry = this.#world.entries[current.version - 1]
    const isForbidden = replaced.has(current.entry) || this.#aborted(machine, entry)
    if (isForbidden) this.violation('M20', machine, `it commits version ${current.version}, and knows better`)
    if (this.#isDisputed(machine, current.entry))
      this.violation('M40', machine, `it commits version ${current.version}, and knows that the log forks there`)
  }

  #onBegins(machine: Watched, state: ObjectState): void {
    if (state.phase.name === 'draining') this.#canaries.onBegins(machine, state)
    if (this.#isPaused(machine, state.phase)) this.violation('M49', machine, `${state.object} begins what is paused`)
    if ('entry' in state.phase && this.#isDisputed(machine, state.phase.entry))
      this.violation('M40', machine, `it begins version ${state.phase.target}, and knows that the log forks there`)
  }

  /** Of what it has on disk, a pause of all peers holds by its own clock, and nothing that lifts it. */
  #isPaused({ durable, clockMs }: Watched, phase: ObjectState['phase']): boolean {
    const known = this.#world.statements.filter(({ hash }) => durable.has(`statement/${hash}`))
    const lifted = new Set(known.map(({ body }) => (body.what === 'resume' ? body.lifts : '')))
    return known.some(
      ({ hash, body, expires }) =>
        body.what === 'pause' &&
        body.of === undefined &&
        expires > clockMs &&
        !lifted.has(hash) &&
        (body.target === null || ('entry' in phase && body.target === phase.entry))
    )
  }

  /** T6, R3: of what it has on disk, two entries stand on one parent, and none ends that. */
  #isDisputed({ durable }: Watched, hash: string): boolean {
    if (this.#world.rivals.length === 0) return false
    const known = [...this.#world.entries, ...this.#world.rivals].filter((one) => durable.has(keyOf(one)))
    const entry = known.find((one) => one.hash === hash)
    const branches = known.filter((one) => one.parent === entry?.parent)
    const isEnded = known.some((one) => branches.every((branch) => one.manifest.replaces?.includes(branch.hash)))
    return branches.length > 1 && !isEnded
  }

  /** Of the entries that the machine has on disk. */
  #replaced({ durable }: Watched): Set<string> {
    const known = this.#world.entries.filter((entry) => durable.has(keyOf(entry)))
    return new Set(known.flatMap((entry) => entry.manifest.replaces ?? []))
  }

  #aborted({ durable }: Watched, entry: Entry | undefined): boolean {
    return this.#world.statements.some(
      ({ hash, body }) => body.what === 'abort' && body.target === entry?.hash && durable.has(`statement/${hash}`)
    )
  }

  /** Code of a version is about to run: its entry is the signer's, and its bundle was verified on this machine. */
  onRuns(machine: Watched, version: number): void {
    const made = this.#world.entriesOf(version)
    if (made.length === 0) this.violation('M12', machine, `it runs version ${version}, which nobody signed`)
    else if (!made.some((entry) => machine.disk.isUnpacked(entry.manifest.bundle.sha256))) {
      this.violation('M12', machine, `it runs version ${version}, whose bundle it has not verified and unpacked`)
    }
  }

  onDown(machine: Watched, object: string): void {
    if (machine.group < 0) return
    const objects = this.#downObjects.get(machine.index) ?? new Set<string>()
    this.#downObjects.set(machine.index, objects)
    if (objects.has(object)) return
    objects.add(object)
    if (objects.size > 1) return
    const down = ++this.#down[machine.group]!
    this.groupDownMax = Math.max(this.groupDownMax, down)
    if (down > this.#mostDown) {
      this.violation(
        'M15',
        machine,
        `it is number ${down} of its group that is down for the upgrade; ${this.#mostDown} may be`
      )
    }
  }

  /** P10: an operator stated that it is gone for good, and it is: nobody waits for it any more. */
  onExcluded(machine: Watched): void {
    const objects = this.#downObjects.get(machine.index)
    this.#downObjects.delete(machine.index)
    if (objects !== undefined && objects.size > 0) this.#down[machine.group]!--
  }

  /** M42: what a peer took from an operator is on its disk when it says so. */
  onAccepted(machine: Watched, what: Pick<Entry, 'hash' | 'bytes'>): void {
    for (const value of machine.durable.values()) if (value === what.bytes) return
    this.violation('M42', machine, `it told the operator that it has ${what.hash.slice(0, 12)}, and its disk has not`)
  }

  onServing(machine: Watched, object: string, version: number): void {
    this.#canaries.onServing(object, version)
    const objects = this.#downObjects.get(machine.index)
    if (objects?.delete(object) && objects.size === 0) this.#down[machine.group]!--
  }
}
