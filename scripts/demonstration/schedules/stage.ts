/**
 * A small fleet of real peers on which schedules are shown one after another: each show is one more upgrade of the same
 * object. What is found comes from the peers' own status; all run on one machine, so their times are of one clock.
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { type Client, createClient } from '../../../node/client.ts'
import type { ObjectStatus, Status } from '../../../node/daemon/status.ts'
import { Fleet, type Member, type Named } from '../fleet.ts'
import { Operator } from '../operator.ts'
import type { Stretch } from '../outages.ts'
import { type Authored, author, OBJECT } from './author.ts'

const LOOK_MS = 100

/** A peer as it was last seen. */
export interface Actor {
  readonly member: Member
  status: Status | undefined
  /** When it was asked last, and the time before, Unix ms. */
  asked: [lastMs: number, beforeMs: number]
  /** How many times it had been down before this show. */
  before: number
}

export interface StageInit {
  directory: string
  peers: number
  say(line: string): void
}

export class Stage {
  readonly actors: Actor[] = []
  readonly operator: Operator
  readonly #init: StageInit
  readonly #fleet: Fleet
  readonly #clients: Client[] = []
  readonly #failed = Promise.withResolvers<never>()
  #version = 0

  constructor(init: StageInit) {
    this.#init = init
    this.operator = new Operator(`${init.directory}/operator`, (command) => init.say(`$ ${command}`))
    this.#fleet = new Fleet(init.directory, this.operator.root, (reason) => this.#failed.reject(reason))
    // A failure is reported by whatever is waited for then.
    this.#failed.promise.catch(() => undefined)
  }

  /** Of the newest upgrade. */
  get version(): number {
    return this.#version
  }
  get someone(): string {
    return this.actors.at(-1)!.member.address
  }

  /** Peers start, each group gets its roster, and version 1 is installed. */
  async open(): Promise<void> {
    await this.operator.found()
    await this.#race(this.#fleet.start(peersOf(this.#init.peers), () => undefined))
    const root = await readFile(this.operator.root)
    for (const member of this.#fleet.members) {
      this.actors.push({ member, status: undefined, asked: [0, 0], before: 0 })
      this.#clients.push(await createClient({ root, peers: [member.address] }))
    }
    for (const [group, of] of Map.groupBy(this.#fleet.members, (one) => one.group))
      await this.operator.roster(
        group,
        of.map(({ peer }) => peer),
        of[0]!.address
      )
    await this.release({ description: 'a counter', schedule: null })
    await this.until('version 1 is installed', runs(1))
  }

  /** The next version, injected at one peer. */
  async release(upgrade: Omit<Authored, 'version'>): Promise<void> {
    for (const actor of this.actors) actor.before = objectOf(actor)?.unavailableAt.length ?? 0
    this.#version += 1
    const folder = await author(this.#init.directory, { ...upgrade, version: this.#version })
    await this.operator.release(this.#version, this.someone, folder)
  }

  /** Looks at all peers until a condition holds for each. @throws Error that says what each waits for */
  async until(what: string, condition: (actor: Actor) => boolean, boundMs = 60_000): Promise<void> {
    const end = performance.now() + boundMs
    while (performance.now() < end) {
      await this.#race(Promise.all(this.actors.map((actor, index) => this.#look(actor, this.#clients[index]!))))
      // Each is looked at, also where one before it says no.
      if (this.actors.filter(condition).length === this.actors.length) return
      await delay(LOOK_MS)
    }
    const why = this.actors.map((actor) => `  ${actor.member.name}  ${sentence(objectOf(actor))}`)
    throw new Error([`${what}: not within ${boundMs / 1000} s`, ...why].join('\n'))
  }

  async upgraded(): Promise<void> {
    await this.until(`all run version ${this.#version}`, runs(this.#version))
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
    await this.#fleet.end()
  }

  kill(): void {
    this.#fleet.kill()
  }

  warnings(): string[] {
    return this.#fleet.warnings()
  }

  async #look(actor: Actor, client: Client): Promise<void> {
    const before = sentence(objectOf(actor))
    actor.asked = [performance.timeOrigin + performance.now(), actor.asked[0]]
    actor.status = await client.status()
    const now = sentence(objectOf(actor))
    if (now !== before) this.#init.say(`${actor.member.name}  ${now}`)
  }

  #race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failed.promise])
  }
}

/** Two sites, which are groups too: a1 a2 … b1 b2 … */
function peersOf(peers: number): Named[] {
  return Array.from({ length: peers }, (_, index) => {
    const group = index < peers / 2 ? 'a' : 'b'
    return {
      name: `${group}${1 + (index % (peers / 2))}`,
      group,
      flags: ['--label', `site=${group}`, '--class', OBJECT, ...(group === 'b' ? ['--class', 'Reader'] : [])]
    }
  })
}

export const objectOf = ({ status }: Actor): ObjectStatus | undefined => status?.objects[OBJECT]

export const runs =
  (version: number) =>
  (actor: Actor): boolean => {
    const object = objectOf(actor)
    return object?.version === version && object.serving && object.phase === 'idle'
  }

/** When a peer stopped for the upgrade that is shown, and served again, Unix ms; undefined if it did not. */
export function outageOf(actor: Actor): Stretch | undefined {
  const object = objectOf(actor)
  const fromMs = object?.unavailableAt[actor.before]
  return fromMs === undefined ? undefined : { fromMs, toMs: fromMs + object!.unavailableMs[actor.before]! }
}

function sentence(object: ObjectStatus | undefined): string {
  if (object === undefined || object.version === 0) return 'has no object yet'
  const { version, serving, phase, reason } = object
  const state = serving ? `serves v${version}` : `v${version}, not serving`
  const moving = phase === 'idle' || phase === 'waiting' ? '' : `, ${phase}`
  // How long it still waits changes all the time.
  return `${state}${moving}${reason === '' ? '' : `: ${reason.replaceAll(/\d+(ms|s|m)( of \d+(ms|s|m))?\b/g, '…')}`}`
}
