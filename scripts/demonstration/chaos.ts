/** Kills peers while they upgrade, at moments drawn from a seed, and starts them again (SPEC X6). */
import { setTimeout as pause } from 'node:timers/promises'
import type { HostCommandName } from '../../src/overlay/events.ts'
import { Generator } from '../../src/prng.ts'
import type { Fleet, Victim } from './fleet.ts'

export interface ChaosInit {
  seed: number
  /** Of one peer, in one run. */
  mostKills: number
}

export interface Kill {
  /** Name of the peer. */
  member: string
  /** What was killed: one process, or the daemon with all that it had started. */
  victim: Victim
  /** What the peer's life was at, by the last command that its daemon had given. */
  phase: string
  /** Since that command, ms; since the upgrade was injected where there was none. */
  afterMs: number
  /** Since the upgrade was injected, ms. */
  atMs: number
  /** Until the daemon was started again, ms; null where it was not killed. */
  downMs: number | null
}

/** That a command of a daemon is followed by a kill: most often those whose steps are short, and come once an upgrade. */
const KILL_CHANCE: Record<HostCommandName, number> = {
  start: 0.15,
  simulate: 0.2,
  remove: 0.2,
  warm: 0.3,
  drain: 0.4,
  transform: 0.5,
  prove: 0.4,
  serve: 0.3,
  abandon: 0.2,
  clean: 0.2
}
/** That a peer is killed while the news spreads. */
const EARLY_CHANCE = 0.25
const EARLY_MS = 1_500
const AFTER_COMMAND_MS = 250
const DOWN_MS = 1_000
const VICTIMS: readonly Victim[] = ['daemon', 'all', 'object', 'transform']

const PHASES: Record<HostCommandName, string> = {
  start: 'starting',
  simulate: 'starting the future SO',
  remove: 'taking an SO out',
  warm: 'warming',
  drain: 'draining',
  transform: 'transforming',
  prove: 'proving',
  serve: 'activating',
  abandon: 'returning',
  clean: 'cleaning up'
}
const LEARNING = 'learning'

interface Prey {
  readonly random: Generator
  phase: string
  sinceMs: number
  kills: number
  /** A kill is planned, or its restart is under way. */
  busy: boolean
}

export class Chaos {
  readonly kills: Kill[] = []
  readonly #fleet: Fleet
  readonly #say: (kill: Kill) => void
  readonly #failed: (reason: Error) => void
  readonly #prey = new Map<string, Prey>()
  readonly #underWay = new Set<Promise<void>>()
  readonly #init: ChaosInit
  #begunMs = 0
  #striking = false

  /** @param failed told when a peer that was killed does not come back */
  constructor(init: ChaosInit, fleet: Fleet, say: (kill: Kill) => void, failed: (reason: Error) => void) {
    this.#init = init
    this.#fleet = fleet
    this.#say = say
    this.#failed = failed
  }

  /** From now on peers are killed. */
  begin(): void {
    this.#striking = true
    this.#begunMs = performance.now()
    for (const [index, { name }] of this.#fleet.members.entries()) {
      const random = new Generator(this.#init.seed, index + 1)
      const prey = { random, phase: LEARNING, sinceMs: this.#begunMs, kills: 0, busy: false }
      this.#prey.set(name, prey)
      if (random.chance(EARLY_CHANCE)) this.#plan(name, prey, random.below(EARLY_MS))
    }
  }

  /** A daemon has given a command to its host: something begins that may be cut short. */
  heard(name: string, command: HostCommandName): void {
    const prey = this.#prey.get(name)
    if (prey === undefined) return
    prey.phase = PHASES[command]
    prey.sinceMs = performance.now()
    // Drawn in any case: what a peer meets depends on its own life only.
    const [strikes, delayMs] = [prey.random.chance(KILL_CHANCE[command]), prey.random.below(AFTER_COMMAND_MS)]
    if (strikes) this.#plan(name, prey, delayMs)
  }

  /** No more kills; resolves when every peer that was killed is up again. */
  async end(): Promise<void> {
    this.#striking = false
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  #plan(name: string, prey: Prey, delayMs: number): void {
    if (!this.#striking || prey.busy || prey.kills >= this.#init.mostKills) return
    prey.busy = true
    const act = this.#act(name, prey, delayMs).catch(this.#failed)
    this.#underWay.add(act)
    void act.then(() => {
      prey.busy = false
      this.#underWay.delete(act)
    })
  }

  async #act(name: string, prey: Prey, delayMs: number): Promise<void> {
    await pause(delayMs)
    if (!this.#striking) return
    const { random } = prey
    const [wanted, turn, downMs] = [random.pick(VICTIMS), random.below(1024), random.below(DOWN_MS)]
    const { phase, sinceMs } = prey
    const nowMs = performance.now()
    const victim = await this.#fleet.strike(name, wanted, turn)
    prey.kills += 1
    const restarts = victim === 'daemon' || victim === 'all'
    const [afterMs, atMs] = [Math.round(nowMs - sinceMs), Math.round(nowMs - this.#begunMs)]
    const kill: Kill = { member: name, victim, phase, afterMs, atMs, downMs: restarts ? downMs : null }
    this.kills.push(kill)
    this.#say(kill)
    if (!restarts) return
    await pause(downMs)
    await this.#fleet.restart(name)
  }
}

export function killText({ member, victim, phase, afterMs, downMs }: Kill): string {
  const what: Record<Victim, string> = {
    daemon: 'the daemon',
    all: 'the daemon and all its processes',
    object: "the object's process",
    transform: "the TF's process"
  }
  const back = downMs === null ? '' : `, started again after ${downMs} ms`
  return `kill -9 of ${member}: ${what[victim]}, ${afterMs} ms into ${phase}${back}`
}
