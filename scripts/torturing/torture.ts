/** Upgrade after upgrade of real peers that are written to, killed, stopped, out of disk and out of time (SPEC X8). */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Client, createClient } from '../../node/client.ts'
import type { Status } from '../../node/daemon/status.ts'
import type { HostCommandName } from '../../src/overlay/events.ts'
import { Generator } from '../../src/prng.ts'
import { Fleet, type Member, namesOf } from '../demonstration/fleet.ts'
import { Operator } from '../demonstration/operator.ts'
import { drawFault, type Fault, inflict, smallDisks } from './faults.ts'
import { Load } from './load.ts'
import { CLASS, writeVersion } from './versions.ts'

export interface TortureInit {
  rounds: number
  versions: number
  seed: number
  peers: number
}

export interface TortureReport {
  rounds: number
  versions: number
  faults: Partial<Record<Fault, number>>
  /** Calls made again with the same id; writes acknowledged; writes that nobody can answer for. */
  repeated: number
  acknowledged: number
  inDoubt: number
  reads: number
  lost: string[]
  failures: [text: string, count: number][]
  /** Times an operator had to say `retry`, since hosts failed so often. */
  retries: number
  /** Faults that this machine cannot make. */
  left: Fault[]
}

/** Rounds under way at once, on different peers. */
const HANDS = 2
/** A fault comes so long after the peer's next step, or after this while where none comes. */
const AFTER_STEP_MS = 300
const NO_STEP_MS = 1_500
const UPGRADE_MS = 240_000
const LOOK_MS = 100
/** A failed upgrade is tried again by the peer; an operator looks now and then. */
const OPERATOR_LOOKS_MS = 5_000

export async function torture(init: TortureInit, say: (line: string) => void): Promise<TortureReport> {
  const directory = await mkdtemp(join(tmpdir(), 'upstart-torture-'))
  const names = namesOf(init.peers)
  const unmount = await smallDisks(names.map(({ name }) => join(directory, name)))
  const run = new Torture(init, directory, unmount !== undefined, say)
  const kill = () => run.kill()
  process.on('exit', kill)
  try {
    return await run.run()
  } finally {
    await run.end()
    process.off('exit', kill)
    unmount?.()
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

class Torture {
  readonly #init: TortureInit
  readonly #directory: string
  readonly #say: (line: string) => void
  readonly #random: Generator
  readonly #without: ReadonlySet<Fault>
  readonly #operator: Operator
  readonly #fleet: Fleet
  readonly #broken = Promise.withResolvers<never>()
  /** Who waits for a peer's next step. */
  readonly #steps = new Map<string, (command: HostCommandName) => void>()
  readonly #faults: Partial<Record<Fault, number>> = {}
  #client: Client | undefined
  #rounds = 0
  #retries = 0
  #reads = 0

  constructor(init: TortureInit, directory: string, hasDisks: boolean, say: (line: string) => void) {
    this.#init = init
    this.#directory = directory
    this.#say = say
    this.#random = new Generator(init.seed)
    this.#without = new Set(hasDisks ? [] : ['full'])
    this.#operator = new Operator(join(directory, 'operator'), () => undefined)
    const heard = (name: string, command: HostCommandName) => this.#steps.get(name)?.(command)
    this.#fleet = new Fleet(directory, this.#operator.root, this.#broken.reject, { heard })
  }

  async run(): Promise<TortureReport> {
    // Whoever waits for the run hears of it; nobody may be waiting yet.
    this.#broken.promise.catch(() => undefined) // reported by the race below
    try {
      return await Promise.race([this.#run(), this.#broken.promise])
    } catch (error) {
      for (const warning of this.#fleet.warnings().slice(-30)) this.#say(warning)
      throw error
    }
  }

  async end(): Promise<void> {
    await this.#client?.close()
    await this.#fleet.end()
  }

  kill(): void {
    this.#fleet.kill()
  }

  async #run(): Promise<TortureReport> {
    const { rounds, versions, peers } = this.#init
    await this.#operator.found()
    await this.#fleet.start(namesOf(peers), () => undefined)
    const { members } = this.#fleet
    this.#client = await createClient({ root: this.#operator.root, peers: members.map(({ address }) => address) })
    for (const [group, of] of Map.groupBy(members, (one) => one.group)) {
      const ids = of.map(({ peer }) => peer)
      await this.#operator.roster(group, ids, of[0]!.address)
    }
    const load = new Load(
      this.#client,
      members.map(({ peer }) => peer),
      this.#random.fork()
    )
    for (let version = 1; version <= versions; version++) {
      await this.#release(version, load)
      const until = Math.round((rounds * version) / versions)
      await Promise.all(Array.from({ length: HANDS }, () => this.#hand(until, version, load)))
      await this.#reach(version)
      await this.#look(version, load)
    }
    const failures = [...load.failures]
    const { repeated, acknowledged, inDoubt, lost } = load
    const found = { repeated, acknowledged, inDoubt, lost, failures, reads: this.#reads, retries: this.#retries }
    return { rounds: this.#rounds, versions, faults: this.#faults, left: [...this.#without], ...found }
  }

  /** Gives a version to any peer; clients use it once every peer knows of it. */
  async #release(version: number, load: Load): Promise<void> {
    const source = await writeVersion(this.#directory, version)
    await this.#operator.release(version, this.#random.pick(this.#fleet.members).address, source)
    if (version === 1) await this.#reach(1)
    else await this.#until(`all know version ${version}`, ({ head }) => head.version >= version)
    await load.start(version === 1 ? [1] : [version - 1, version])
  }

  async #hand(until: number, version: number, load: Load): Promise<void> {
    while (this.#rounds < until) {
      this.#rounds += 1
      const round = this.#rounds
      const random = this.#random.fork()
      const free = this.#fleet.members.filter(({ name }) => !this.#steps.has(name))
      const member = random.pick(free)
      const { name, peer } = member
      const step = Promise.withResolvers<HostCommandName | null>()
      this.#steps.set(name, step.resolve)
      const afterMs = random.below(AFTER_STEP_MS)
      const command = await Promise.race([step.promise, pause(random.below(NO_STEP_MS), null)])
      await pause(afterMs)
      const fault = drawFault(random, this.#without)
      const text = await inflict(fault, this.#fleet, name, join(this.#directory, name), random)
      await load.answers(peer, Math.max(1, version - 1))
      this.#faults[fault] = (this.#faults[fault] ?? 0) + 1
      this.#steps.delete(name)
      const when = command === null ? '' : `, ${afterMs} ms after its "${command}"`
      this.#say(`${String(round).padStart(4)}  to v${version}  ${name}: ${text}${when}`)
    }
  }

  /** Resolves when every peer serves the version; an operator says `retry` where hosts failed too often. */
  async #reach(version: number): Promise<void> {
    let lookedMs = performance.now()
    await this.#until(`all serve version ${version}`, async (status) => {
      const objects = status.peers.map((peer) => peer.objects[CLASS])
      const isStuck = objects.some((object) => object?.failed.some((one) => one.version === version) === true)
      if (isStuck && performance.now() - lookedMs > OPERATOR_LOOKS_MS) {
        lookedMs = performance.now()
        this.#retries += 1
        await this.#operator.state(this.#fleet.members[0]!.address, 'retry', String(version))
      }
      return objects.every((one) => one?.version === version && one.serving && one.phase === 'idle')
    })
  }

  /** All that was ever acknowledged, at both versions that are alive; then the older one ends. */
  async #look(version: number, load: Load): Promise<void> {
    await load.stop()
    const reads = await load.check(version === 1 ? [1] : [version - 1, version])
    this.#reads += reads
    const { acknowledged, inDoubt, lost } = load
    this.#say(
      `      v${version} on all peers: ${acknowledged} writes acknowledged, ${inDoubt} in doubt, ${reads} reads, ${lost.length} lost`
    )
    if (version > 1) await this.#operator.state(this.#fleet.members[0]!.address, 'retire', String(version - 1))
  }

  /** @throws Error with what each peer says, when it does not come */
  async #until(what: string, condition: (status: Status) => boolean | Promise<boolean>): Promise<void> {
    const endMs = performance.now() + UPGRADE_MS
    const unmet = new Set<Member>(this.#fleet.members)
    let last: unknown
    while (unmet.size > 0) {
      const status = await this.#client!.status()
      last = status.peers.map(({ peer, objects }) => [peer.slice(-6), objects[CLASS]])
      if (status.peers.length === this.#fleet.members.length && (await condition(status))) return
      if (performance.now() > endMs)
        throw new Error(`${what}: not within ${UPGRADE_MS / 1000} s: ${JSON.stringify(last)}`)
      await pause(LOOK_MS)
    }
  }
}
