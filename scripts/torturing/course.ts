/** A fleet of real peers led from version to version under clients that keep account of every answer (SPEC X8, X9). */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Client, createClient } from '../../node/client.ts'
import type { Status } from '../../node/daemon/status.ts'
import type { HostCommandName } from '../../src/overlay/events.ts'
import type { Generator } from '../../src/prng.ts'
import { Fleet, type Named } from '../demonstration/fleet.ts'
import { Operator } from '../demonstration/operator.ts'
import { Load, type Pace } from './load.ts'
import { CLASS, writeVersion } from './versions.ts'

export interface CourseInit {
  directory: string
  peers: readonly Named[]
  random: Generator
  pace: Pace
  /** Told of each command that a daemon gives to its host. */
  heard(name: string, command: HostCommandName): void
}

const UPGRADE_MS = 240_000
const LOOK_MS = 100
const LOOK_MS_FOR_EACH_PEER = 20
/** A failed upgrade is tried again by the peer; an operator looks now and then. */
const OPERATOR_LOOKS_MS = 5_000

export class Course {
  readonly fleet: Fleet
  readonly #init: CourseInit
  readonly #operator: Operator
  readonly #broken = Promise.withResolvers<never>()
  #client: Client | undefined
  #load: Load | undefined
  /** Times an operator had to say `retry`. */
  retries = 0
  reads = 0

  constructor(init: CourseInit) {
    this.#init = init
    this.#operator = new Operator(join(init.directory, 'operator'), () => undefined)
    this.fleet = new Fleet(init.directory, this.#operator.root, this.#broken.reject, init)
  }

  get load(): Load {
    return this.#load!
  }

  /** Rejects when `act` does, or a peer ends by itself; then the peers' last warnings are said. */
  async guard<Result>(act: () => Promise<Result>, say: (line: string) => void): Promise<Result> {
    this.#broken.promise.catch(() => undefined) // reported by the race
    try {
      return await Promise.race([act(), this.#broken.promise])
    } catch (error) {
      for (const warning of this.fleet.warnings().slice(-30)) say(warning)
      throw error
    }
  }

  async start(): Promise<void> {
    const { peers, random, pace } = this.#init
    await this.#operator.found()
    await this.fleet.start(peers, () => undefined)
    const { members } = this.fleet
    this.#client = await createClient({ root: this.#operator.root, peers: members.map(({ address }) => address) })
    for (const [group, of] of Map.groupBy(members, (one) => one.group)) {
      const ids = of.map(({ peer }) => peer)
      await this.#operator.roster(group, ids, of[0]!.address)
    }
    this.#load = new Load(
      this.#client,
      members.map(({ peer }) => peer),
      random.fork(),
      pace
    )
  }

  async end(): Promise<void> {
    await this.#client?.close()
    await this.fleet.end()
  }

  kill(): void {
    this.fleet.kill()
  }

  /** Gives a version to any peer; clients use it once every peer knows of it. */
  async release(version: number): Promise<void> {
    const { directory, random } = this.#init
    const source = await writeVersion(directory, version)
    await this.#operator.release(version, random.pick(this.fleet.members).address, source)
    if (version === 1) await this.reach(1)
    else
      await this.#until(`all know version ${version}`, (status) =>
        status.peers.every(({ head }) => head.version >= version)
      )
    await this.load.start(alive(version))
  }

  /** Resolves when every peer serves the version; an operator says `retry` where hosts failed too often. */
  async reach(version: number): Promise<void> {
    let lookedMs = performance.now()
    await this.#until(`all serve version ${version}`, async (status) => {
      const objects = status.peers.map((peer) => peer.objects[CLASS])
      const isStuck = objects.some((object) => object?.failed.some((one) => one.version === version) === true)
      if (isStuck && performance.now() - lookedMs > OPERATOR_LOOKS_MS) {
        lookedMs = performance.now()
        this.retries += 1
        await this.#state('retry', version)
      }
      return objects.every((one) => one?.version === version && one.serving && one.phase === 'idle')
    })
  }

  /** Reads all that was ever acknowledged, at the versions that are alive; then the older one ends. @returns what was found */
  async look(version: number): Promise<string> {
    await this.load.stop()
    const reads = await this.load.check(alive(version))
    this.reads += reads
    if (version > 1) await this.#state('retire', version - 1)
    const { acknowledged, inDoubt, lost } = this.load
    return `v${version} on all peers: ${acknowledged} writes acknowledged, ${inDoubt} in doubt, ${reads} reads, ${lost.length} lost`
  }

  async #state(what: string, version: number): Promise<void> {
    await this.#operator.state(this.fleet.members[0]!.address, what, String(version))
  }

  /** @throws Error with what each peer says, when it does not come */
  async #until(what: string, condition: (status: Status) => boolean | Promise<boolean>): Promise<void> {
    const count = this.fleet.members.length
    for (const endMs = performance.now() + UPGRADE_MS; ; ) {
      const status = await this.#client!.status()
      if (status.peers.length === count && (await condition(status))) return
      if (performance.now() > endMs) {
        const last = status.peers.map(({ peer, objects }) => [peer.slice(-6), objects[CLASS]])
        throw new Error(`${what}: not within ${UPGRADE_MS / 1000} s: ${JSON.stringify(last)}`)
      }
      await pause(LOOK_MS + LOOK_MS_FOR_EACH_PEER * count)
    }
  }
}

const alive = (version: number): number[] => (version === 1 ? [1] : [version - 1, version])
