/** Upgrade after upgrade of real peers that are written to, killed, stopped, out of disk and out of time (SPEC X8). */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { HostCommandName } from '../../src/overlay/events.ts'
import { Generator } from '../../src/prng.ts'
import { namesOf } from '../demonstration/fleet.ts'
import { Course } from './course.ts'
import { drawFault, type Fault, inflict, smallDisks } from './faults.ts'

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
const PACE = { workers: 4, pauseMs: 25 }

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
  readonly #course: Course
  /** By the name of a peer that is under a hand: who waits for its next step. */
  readonly #steps = new Map<string, (command: HostCommandName) => void>()
  readonly #faults: Partial<Record<Fault, number>> = {}
  #rounds = 0

  constructor(init: TortureInit, directory: string, hasDisks: boolean, say: (line: string) => void) {
    this.#init = init
    this.#directory = directory
    this.#say = say
    this.#random = new Generator(init.seed)
    this.#without = new Set(hasDisks ? [] : ['full'])
    const heard = (name: string, command: HostCommandName) => this.#steps.get(name)?.(command)
    this.#course = new Course({ directory, peers: namesOf(init.peers), random: this.#random.fork(), pace: PACE, heard })
  }

  run(): Promise<TortureReport> {
    return this.#course.guard(() => this.#run(), this.#say)
  }

  end(): Promise<void> {
    return this.#course.end()
  }

  kill(): void {
    this.#course.kill()
  }

  async #run(): Promise<TortureReport> {
    const { rounds, versions, peers } = this.#init
    const course = this.#course
    await course.start()
    for (let version = 1; version <= versions; version++) {
      await course.release(version)
      const until = Math.round((rounds * version) / versions)
      await Promise.all(Array.from({ length: Math.min(HANDS, peers) }, () => this.#hand(until, version)))
      await course.reach(version)
      this.#say(`      ${await course.look(version)}`)
    }
    const { repeated, acknowledged, inDoubt, lost, failures } = course.load
    const found = { repeated, acknowledged, inDoubt, lost, reads: course.reads, retries: course.retries }
    const faults = { faults: this.#faults, left: [...this.#without] }
    return { rounds: this.#rounds, versions, ...faults, ...found, failures: [...failures] }
  }

  async #hand(until: number, version: number): Promise<void> {
    const { fleet, load } = this.#course
    while (this.#rounds < until) {
      this.#rounds += 1
      const round = this.#rounds
      const random = this.#random.fork()
      const { name, peer } = random.pick(fleet.members.filter((one) => !this.#steps.has(one.name)))
      const step = Promise.withResolvers<HostCommandName | null>()
      this.#steps.set(name, step.resolve)
      const afterMs = random.below(AFTER_STEP_MS)
      const command = await Promise.race([step.promise, pause(random.below(NO_STEP_MS), null)])
      await pause(afterMs)
      const fault = drawFault(random, this.#without)
      const text = await inflict(fault, fleet, name, join(this.#directory, name), random)
      await load.answers(peer, Math.max(1, version - 1))
      this.#faults[fault] = (this.#faults[fault] ?? 0) + 1
      this.#steps.delete(name)
      const when = command === null ? '' : `, ${afterMs} ms after its "${command}"`
      this.#say(`${String(round).padStart(4)}  to v${version}  ${name}: ${text}${when}`)
    }
  }
}
