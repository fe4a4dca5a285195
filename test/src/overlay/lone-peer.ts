/** One peer of the core, alone, with a host that a test plays: what the other suites cannot order at will. */
import { hash53, hash64, World } from '../../../sim/authority.ts'
import type { Effect, Event, HostCommand, HostCommandName, PeerInit } from '../../../src/overlay/events.ts'
import { Peer } from '../../../src/overlay/peer.ts'
import type { PeerRecord } from '../../../src/overlay/record.ts'
import type { Condition, Schedule } from '../../../src/schedule/schedule.ts'
import type { Entry } from '../../../src/upgrade/manifest.ts'
import type { Needs } from '../../../src/upgrade/needs.ts'
import type { StatementBody } from '../../../src/upgrade/statement.ts'
import type { Ticket } from '../../../src/upgrade/ticket.ts'

export const OBJECT = 'Av1'
const FREELY: Schedule = { when: { kind: 'immediately' }, constraints: [] }

export class LonePeer {
  readonly world = new World(1, true)
  readonly durable = new Map<string, unknown>()
  readonly alarms: string[] = []
  /** Thresholds of the load that the peer wants watched. */
  watched: number[] = []
  peer: Peer
  now = 1_000_000
  record: PeerRecord | undefined
  /** Commands to the host that no test has answered yet. */
  commands: HostCommand[] = []
  /** Whether the upgrades that are made bring past SOs. */
  past = true
  /** When their future SOs are started by themselves. */
  simulate: Condition | undefined
  readonly #rivals: Entry[] = []
  #held = new Set<string>()
  #sequence = 0

  readonly #init: Pick<PeerInit, 'allowed' | 'ticket'>

  /** @param admitted by this ticket, to a private fleet */
  constructor(init: Pick<PeerInit, 'allowed'> = {}, admitted?: Partial<Ticket>) {
    if (admitted !== undefined) this.world.isPrivate = true
    this.#init = admitted === undefined ? init : { ...init, ticket: this.world.admit('peer-a', admitted) }
    this.peer = this.#make()
    this.step({ type: 'boot', bundles: [] })
  }

  /** The signer's next upgrade of the one class A, injected here with its bundle. */
  inject(schedule = FREELY, replaces?: Entry[], needs?: Needs): Entry {
    const entry = this.world.makeEntry({
      lineages: ['A'],
      schedule,
      simulate: this.simulate,
      pieces: 1,
      future: true,
      past: this.past,
      replaces,
      needs
    })
    this.step({ type: 'inject', request: 1, topic: 'entry', bytes: entry.bytes, bundleHeld: true })
    return entry
  }

  /** An operator's statement, injected here. */
  state(said: { what: StatementBody['what'] } & Record<string, unknown>): void {
    this.#sequence += 1
    const common = { format: 1, fleet: this.world.fleet, sequence: this.#sequence, note: '' }
    const { bytes } = this.world.makeStatement({ ...common, ...said } as StatementBody, this.now + 1e9)
    this.step({ type: 'inject', request: 9, topic: 'statement', bytes, bundleHeld: true })
  }

  /** A neighbour passes on the record of a peer that runs nothing. */
  hear(peer: string): void {
    const head = { version: 0, hash: this.world.fleet }
    const known = { format: 1 as const, peer, incarnation: 1, counter: 1, head, group: null, labels: {} }
    const record = { ...known, addresses: [`address of ${peer}`], objects: {}, permit: null }
    const bytes = this.world.authorityOf(() => undefined).sealRecord(record)
    const delta = { kind: 'delta' as const, entries: [], statements: [], records: [bytes], more: false }
    this.step({ type: 'message', from: 'peer-n', message: delta })
  }

  /** The order that hashes give. */
  place(text: string): number {
    return hash53(text)
  }

  /** A second upgrade on the same parent, heard of by broadcast. */
  fork(entry: Entry, change: Partial<Entry> = {}): Entry {
    const rival = this.world.signed({ ...entry, hash: hash64(`rival of ${entry.hash}`), ...change })
    this.#rivals.push(rival)
    this.step({ type: 'published', from: 'peer-b', topic: 'entry', bytes: rival.bytes })
    return rival
  }

  step(event: Event): Effect[] {
    const effects = this.peer.step(event, this.now)
    for (const effect of effects) this.#perform(effect)
    return effects
  }

  /** The oldest command must be this one; its completion is told. */
  answer(
    command: HostCommandName,
    outcome: { ok: boolean; again?: boolean; interrupted?: boolean; reason: string; stale?: number[] } = {
      ok: true,
      reason: ''
    }
  ): void {
    const next = this.commands.shift()
    if (next?.command !== command) throw new Error(`the host was told to ${next?.command ?? 'do nothing'}`)
    const { object } = next
    const [attempt, version] = ['attempt' in next ? next.attempt : 0, 'version' in next ? next.version : 0]
    this.step({ type: 'done', command, object, attempt, version, ...outcome })
  }

  answerAll(...commands: HostCommandName[]): void {
    for (const command of commands) this.answer(command)
  }

  passes(ms: number): void {
    this.now += ms
    this.step({ type: 'wake' })
  }

  /** A new process on what is durable. */
  restart(): void {
    this.commands = []
    this.peer = this.#make()
    const bundles = [...this.#held].map((bundle) => ({ bundle, pieces: new Uint8Array([1]), unpacked: true }))
    this.step({ type: 'boot', bundles })
  }

  /** Version 1 serves. */
  installed(): Entry {
    const entry = this.inject()
    this.answerAll('warm', 'transform', 'prove', 'serve', 'clean')
    return entry
  }

  #perform(effect: Effect): void {
    if (effect.type === 'run') this.commands.push(effect.command)
    if (effect.type === 'watch-load') this.watched = effect.thresholds
    if (effect.type === 'alarm') this.alarms.push(effect.name)
    if (effect.type === 'persist') {
      for (const key of effect.delete) this.durable.delete(key)
      for (const [key, value] of effect.put) this.durable.set(key, structuredClone(value))
    }
    if (effect.type === 'unpack') {
      this.#held.add(effect.bundle)
      this.step({ type: 'unpacked', bundle: effect.bundle, ok: true, reason: '' })
    }
  }

  #make(): Peer {
    const authority = this.world.authorityOf(({ record }) => {
      this.record = record
    })
    const init = {
      peer: 'peer-a',
      group: null,
      labels: {},
      addresses: [],
      classes: null,
      bootstrap: [],
      seed: 1,
      ...this.#init
    }
    // Entries are told apart by the identity of their bytes, which a clone does not have.
    const snapshot = new Map([...this.durable].map(([key, value]) => [key, this.#original(key) ?? value]))
    return new Peer(init, authority, snapshot)
  }

  #original(key: string): Uint8Array | undefined {
    const { entries, statements, roots } = this.world
    const signed = [...entries, ...this.#rivals, ...statements, ...roots]
    return signed.find((one) => /^(entry|statement|root)\//.test(key) && key.endsWith(one.hash))?.bytes
  }
}
