/**
 * A formed start (SPEC M32): the fleet has met and runs version 1 already. Each peer is one that restarts: its disk has
 * what an installed node's has, its host takes the object into service; then it hears, by the messages that would tell
 * it so, who its neighbours are, whom they know and what they count. From then on nothing distinguishes it from a fleet
 * that came to rest by itself, and it cost some thirty events a peer instead of some six hundred.
 */
import { countedIn } from '../src/overlay/counted.ts'
import { DEFAULT_LIMITS, type PeerLimits } from '../src/overlay/events.ts'
import { emptyObject, type ObjectState } from '../src/overlay/lifecycle.ts'
import { MAX_SHUFFLED, type Message, type MessageOf } from '../src/overlay/messages.ts'
import { EMPTY, elementOf, type Sketch, withElement } from '../src/overlay/sketch.ts'
import type { Generator } from '../src/prng.ts'
import { UpgradeLog } from '../src/upgrade/log.ts'
import type { Entry } from '../src/upgrade/manifest.ts'
import { hash53 } from './authority.ts'
import type { Image } from './disk.ts'
import { formedGraph, type Graph } from './graph.ts'
import { EventKind } from './kernel.ts'
import type { Machine } from './machine.ts'
import type { Scenario } from './scenario.ts'
import type { Simulator } from './simulator.ts'

/** After the last object of the calmest host serves. */
const REST_MS = 100

export class FormedStart {
  readonly #simulator: Simulator
  readonly #random: Generator
  readonly #limits: PeerLimits
  /** Those that are there from the start; others come late, and join. */
  readonly #peers: number[] = []
  #graph: Graph | undefined
  #census: MessageOf<'census'> | undefined

  constructor(simulator: Simulator, random: Generator) {
    this.#simulator = simulator
    this.#random = random
    this.#limits = { ...DEFAULT_LIMITS, ...simulator.scenario.limits }
  }

  /** Before the first event: what the operator did in former times lies on every disk. */
  install(late: ReadonlySet<number>): void {
    const { machines, scenario, operator, kernel, network } = this.#simulator
    for (const { index } of machines) if (!late.has(index)) this.#peers.push(index)
    operator.settle(formerActions(scenario))
    const graph = formedGraph(this.#peers, machines.length, this.#limits.degree, this.#groups(), this.#random)
    this.#graph = graph
    const image = this.#image()
    const contacts = this.#peers.map((node) => ({
      peer: machines[node]!.id,
      addresses: machines[node]!.init.addresses
    }))
    for (const node of late) machines[node]!.init.bootstrap = this.#random.sample(contacts, scenario.bootstrap)
    const contactOf = new Map(this.#peers.map((node, index) => [node, contacts[index]!]))
    const objects = [...image.durable.values()].flatMap((value) => (isObject(value) ? [value.object] : []))
    for (const node of this.#peers) {
      const machine = machines[node]!
      machine.install(image, objects)
      // It knows them from before and dials them at once: they are connected when it does.
      for (const other of graph.of(node)) if (node < other) network.join(node, other)
      machine.disk.durable.set(
        'contacts',
        Array.from(graph.of(node).subarray(0, 32), (other) => contactOf.get(other)!)
      )
    }
    kernel.at(this.#servesAtMs(), EventKind.form, 0)
  }

  /** Everybody serves: they hear of each other. */
  form(): void {
    const { machines } = this.#simulator
    const graph = this.#graph!
    this.#census = this.#countAll()
    const up = this.#peers.filter((node) => machines[node]!.up)
    for (const node of up) this.#introduce(machines[node]!, graph.of(node), up)
    this.#graph = undefined
    this.#census = undefined
  }

  /** One peer hears what its neighbours would have told it in the course of time. */
  #introduce(machine: Machine, neighbours: Int32Array, up: readonly number[]): void {
    const { machines } = this.#simulator
    const living = [...neighbours].map((node) => machines[node]!).filter((other) => other.up)
    const [first] = living
    if (first === undefined) return
    const hears = (message: Message, from = first) => machine.step({ type: 'message', from: from.id, message })
    if (this.#census !== undefined) hears(this.#census)
    for (const other of living) {
      hears(ACCEPTED, other)
      machine.step({ type: 'connected', peer: other.id })
    }
    const known = this.#known(machine, living, up)
    const records = known.flatMap(({ signed }) => (signed === undefined ? [] : [signed.bytes]))
    hears({ kind: 'delta', entries: [], statements: [], records, more: false })
    hears(this.#contacts(machine, living, up))
    // Whoever exchanged records with a neighbour lately does not do so again at the first occasion.
    const stamps = [machine, ...known].flatMap(({ signed }) => (signed === undefined ? [] : [signed.stamp]))
    const { entries, statements } = this.#simulator.world
    hears({
      kind: 'digest',
      tips: entries.slice(-1).map(({ version, hash }) => ({ version, hash })),
      statements: statements.map(({ hash }) => hash),
      records: stamps,
      room: 0,
      answer: false
    })
  }

  /** Its neighbours, and as many others as a view has place for: one more, so that it knows that there are more. */
  #known(machine: Machine, neighbours: readonly Machine[], up: readonly number[]): Machine[] {
    const { machines } = this.#simulator
    const most = Math.min(up.length - 1, this.#limits.view)
    if (most === up.length - 1) return up.flatMap((node) => (node === machine.index ? [] : [machines[node]!]))
    const known = new Set(neighbours)
    while (known.size < most) {
      const other = machines[this.#random.pick(up)]!
      if (other !== machine) known.add(other)
    }
    return [...known]
  }

  #contacts(machine: Machine, neighbours: readonly Machine[], up: readonly number[]): MessageOf<'shuffle'> {
    const { machines } = this.#simulator
    const strangers = new Set<Machine>()
    const most = Math.min(MAX_SHUFFLED, this.#limits.passive, up.length - 1 - neighbours.length)
    for (let draw = 0; draw < 4 * MAX_SHUFFLED && strangers.size < most; draw++) {
      const other = machines[this.#random.pick(up)]!
      if (other !== machine && !neighbours.includes(other)) strangers.add(other)
    }
    const contacts = [...strangers].map(({ id, init }) => ({ peer: id, addresses: init.addresses, ageMs: 0 }))
    return { kind: 'shuffle', contacts, answer: true }
  }

  #groups(): number[][] {
    const { machines } = this.#simulator
    const groups: number[][] = []
    for (const node of this.#peers) {
      const { group } = machines[node]!
      if (group < 0) continue
      groups[group] ??= []
      groups[group].push(node)
    }
    return groups.filter((group) => group !== undefined)
  }

  /** The disk of a node that installed version 1, and holds the operator's statements. */
  #image(): Image {
    const { world } = this.#simulator
    const entry = world.entries[0]
    const durable = new Map<string, unknown>()
    for (const { hash, bytes } of world.statements) durable.set(`statement/${hash}`, bytes)
    if (entry === undefined) return { durable, bundles: new Map() }
    durable.set(`entry/${String(entry.version).padStart(7, '0')}/${entry.hash}`, entry.bytes)
    for (const object of lineagesOf(entry, world.fleet)) durable.set(`object/${object}`, installed(object, entry))
    const { sha256, pieces } = entry.manifest.bundle
    const all = new Uint8Array(Math.ceil(pieces.length / 8))
    for (let index = 0; index < pieces.length; index++) all[index >> 3]! |= 1 << (index & 7)
    return { durable, bundles: new Map([[sha256, { pieces: all, unpacked: true }]]) }
  }

  /** What the census of a fleet at rest says: everybody's own count, merged. */
  #countAll(): MessageOf<'census'> | undefined {
    const { machines, world } = this.#simulator
    const log = logOf(world.entries.slice(0, 1), world.fleet)
    const sketches = new Map<string, { object: string; version: number; entry: string; sketch: Sketch }>()
    for (const node of this.#peers) {
      const { record, id } = machines[node]!
      if (record === undefined) continue
      const element = elementOf(hash53(`census/${id}`))
      for (const { object, version, entry, what } of countedIn(record, log)) {
        if (what !== 'run') continue
        const line = sketches.get(object) ?? { object, version, entry, sketch: EMPTY }
        sketches.set(object, { ...line, sketch: withElement(line.sketch, element) })
      }
    }
    if (sketches.size === 0) return undefined
    const lines = [...sketches.values()].map(({ sketch, ...line }) => ({ ...line, run: sketch, retries: 0, called: 0 }))
    return { kind: 'census', epoch: 1, digest: 'formed', lines, before: [], whole: true, answer: false }
  }

  #servesAtMs(): number {
    const { host, disk } = this.#simulator.scenario
    const { start, clean } = host.durationsMs
    return Math.max(start[1], clean[1]) + 2 * disk.syncMs[1] + REST_MS
  }
}

const ACCEPTED: Message = { kind: 'neighbour', what: 'accept', urgent: false }

const isObject = (value: unknown): value is ObjectState =>
  typeof value === 'object' && value !== null && 'object' in value && 'phase' in value

/** The installation, and the rosters that come before the next upgrade. */
function formerActions({ actions }: Scenario): number[] {
  const next = actions.findIndex((one, index) => one.what === 'upgrade' && index > 0)
  const before = next < 0 ? Number.POSITIVE_INFINITY : actions[next]!.atMs
  return actions.flatMap((one, index) => {
    const isFormer = (one.what === 'upgrade' && index === 0) || (one.what === 'roster' && one.atMs < before)
    return isFormer ? [index] : []
  })
}

function logOf(entries: readonly Entry[], fleet: string): UpgradeLog {
  const log = new UpgradeLog(fleet)
  for (const entry of entries) log.add(entry)
  return log
}

const lineagesOf = (entry: Entry, fleet: string): string[] => [...logOf([entry], fleet).schema.lineages.keys()]

const installed = (object: string, entry: Entry): ObjectState => ({
  ...emptyObject(object),
  current: { version: entry.version, entry: entry.hash, attempt: 1 },
  attempts: 1
})
