/** The demo from its first key to its last check: a fleet of processes upgrades itself under load. */
import { setTimeout as pause } from 'node:timers/promises'
import type { AnsweredCount } from '../../node/daemon/callee.ts'
import type { HostCommandName } from '../../src/overlay/events.ts'
import { Chaos, type ChaosInit, type Kill, killText } from './chaos.ts'
import { Fleet, namesOf } from './fleet.ts'
import { IDLE, Load } from './load.ts'
import { fsyncMs, nodeStartMs } from './measure.ts'
import { Operator } from './operator.ts'
import { type Findings, since } from './report.ts'
import { createScreen, type Screen } from './screen.ts'
import { count, type Scene } from './view.ts'
import { type Seen, Watch } from './watch.ts'

export interface DemonstrationInit {
  directory: string
  peers: number
  keys: number
  json: boolean
  /** Null: nobody is killed. */
  chaos: ChaosInit | null
}

const STEPS = ['keys', 'peers', 'v1', 'writes', 'v2 under load', 'check'] as const
type Step = (typeof STEPS)[number] | 'done'

/** The load goes on for a while before and after the roll-out, so that both can be compared with it. */
const CALM_MS = 1_500

export class Demonstration {
  readonly screen: Screen
  readonly operator: Operator
  readonly #init: DemonstrationInit
  readonly #begun = performance.now()
  readonly #fleet: Fleet
  /** Ends the run; there is nothing to end before it. */
  #fail: (reason: Error) => void = () => undefined
  readonly #commands: string[] = []
  readonly #chaos: Chaos | undefined
  #load: Load | undefined
  #watch: Watch | undefined
  #step: Step = 'keys'
  #detail: () => string = () => ''
  #sinceMs = 0

  constructor(init: DemonstrationInit) {
    this.#init = init
    this.screen = createScreen(() => this.#scene(), init.json)
    this.operator = new Operator(`${init.directory}/operator`, (command) => {
      this.#commands.push(command)
      this.screen.line(`$ ${command}`)
    })
    const failed = (reason: Error): void => this.#fail(reason)
    const { directory, chaos } = init
    const hunted = { heard: (name: string, command: HostCommandName) => this.#chaos?.heard(name, command) }
    this.#fleet = new Fleet(directory, this.operator.root, failed, chaos === null ? undefined : hunted)
    const say = (kill: Kill): void => {
      this.#commands.push(killText(kill))
      this.screen.line(killText(kill))
    }
    if (chaos !== null) this.#chaos = new Chaos(chaos, this.#fleet, say, failed)
  }

  /** Address of the first peer. */
  get address(): string {
    return this.#fleet.members[0]!.address
  }

  /** Rejects when something fails, or is not done within the bound; the message says what, and what each peer waits for. */
  async run(boundMs: number): Promise<Findings> {
    const failed = Promise.withResolvers<never>()
    this.#fail = failed.reject
    const timer = setTimeout(() => this.#fail(new Error(this.#stuck(boundMs))), boundMs)
    try {
      return await Promise.race([this.#run(), failed.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  async end(): Promise<void> {
    await Promise.all([this.#load?.end(), this.#watch?.end()])
    await this.#fleet.end()
  }

  kill(): void {
    this.#load?.kill()
    this.#fleet.kill()
  }

  /** What peers warned of, for a demo that failed. */
  warnings(): string[] {
    return this.#fleet.warnings()
  }

  async #run(): Promise<Findings> {
    await this.operator.found()
    const { watch, load } = await this.#start()
    await this.#install(watch)
    await this.#fill(load)
    this.#enter('v2 under load')
    await load.do({ order: 'load', version: 1 })
    await pause(CALM_MS)
    const measured = { nodeStartMs: await nodeStartMs(), fsyncMs: await fsyncMs(this.#init.directory) }
    const { answered, rollOutMs } = await this.#upgrade(watch, load)
    await load.do({ order: 'stop' })
    const readBefore = load.progress.read
    this.#enter('check', () => `${count(load.progress.read - readBefore)} of ${count(load.progress.written * 2)} reads`)
    await load.do({ order: 'check' })
    this.#enter('done')
    const peers = watch.seen.map(({ member, object }, index) => ({
      name: member.name,
      version: object?.version ?? 0,
      serving: object?.serving ?? false,
      unavailableMs: object?.unavailableMs.at(-1) ?? null,
      answered: answered[index]!
    }))
    const durationMs = performance.now() - this.#begun
    const chaos = this.#chaos === undefined ? null : { seed: this.#init.chaos!.seed, kills: this.#chaos.kills }
    return { peers, load: load.report!, groupDownMax: watch.groupDownMax(), rollOutMs, durationMs, chaos, ...measured }
  }

  async #start(): Promise<{ watch: Watch; load: Load }> {
    const { peers } = this.#init
    let started = 1
    this.#enter('peers', () => `${started} of ${peers}`)
    await this.#fleet.start(namesOf(peers), () => {
      started += 1
    })
    const { members } = this.#fleet
    this.#watch = new Watch(
      members,
      this.operator.root,
      (seen) => this.screen.line(sentence(seen)),
      this.#chaos !== undefined
    )
    this.#load = new Load((reason) => this.#fail(reason))
    await this.#watch.start((reason) => this.#fail(reason))
    for (const [group, of] of Map.groupBy(members, (one) => one.group)) {
      const ids = of.map(({ peer }) => peer)
      await this.operator.roster(group, ids, of[0]!.address)
    }
    return { watch: this.#watch, load: this.#load }
  }

  /** Version 1 is installed by the same means as every other. */
  async #install(watch: Watch): Promise<void> {
    this.#enter('v1', () => `${watch.seen.filter(runs(1)).length} of ${watch.seen.length}`)
    this.#sinceMs = Date.now()
    await this.operator.release(1, this.#fleet.members[1]!.address)
    await watch.until(runs(1))
  }

  async #fill(load: Load): Promise<void> {
    const { keys } = this.#init
    this.#enter('writes', () => `${count(load.progress.written)} of ${count(keys)}`)
    const { members } = this.#fleet
    const groups = [...new Set(members.map(({ group }) => group))]
    const peers = groups.map((group) => members.find((one) => one.group === group)!.address)
    await load.do({ order: 'open', root: this.operator.root, peers, groups, keys, patient: this.#chaos !== undefined })
    await load.do({ order: 'fill' })
  }

  async #upgrade(watch: Watch, load: Load): Promise<{ answered: AnsweredCount[][]; rollOutMs: number }> {
    this.#detail = () => `${watch.seen.filter(runs(2)).length} of ${watch.seen.length}`
    watch.countFromNow()
    this.#sinceMs = Date.now() - CALM_MS
    const before = watch.seen.map(({ status }) => status?.answered ?? [])
    const begun = performance.now()
    // At a peer other than the one that got version 1: any will do.
    await this.operator.release(2, this.#fleet.members.at(-1)!.address)
    this.#chaos?.begin()
    await load.do({ order: 'load', version: 2 })
    await watch.until(runs(2))
    if (this.#chaos !== undefined) {
      await this.#chaos.end()
      // The last kills may have come after the last look.
      await pause(CALM_MS)
      await watch.until(runs(2))
    }
    const rollOutMs = performance.now() - begun
    await pause(CALM_MS)
    const answered = watch.seen.map(({ status }, index) => since(before[index]!, status?.answered ?? []))
    return { answered, rollOutMs }
  }

  #enter(step: Step, detail: () => string = () => ''): void {
    this.#step = step
    this.#detail = detail
    this.screen.line(step)
  }

  #scene(): Scene {
    const { progress } = this.#load ?? { progress: IDLE }
    return {
      elapsedMs: performance.now() - this.#begun,
      steps: STEPS,
      step: this.#step === 'done' ? STEPS.length : STEPS.indexOf(this.#step),
      detail: this.#detail(),
      peers: this.#watch?.seen ?? [],
      sinceMs: this.#sinceMs,
      load: progress,
      commands: this.#commands
    }
  }

  #stuck(boundMs: number): string {
    const peers = (this.#watch?.seen ?? []).map((seen) => `  ${sentence(seen)}`)
    return [`not done within ${boundMs / 1000} s; it was busy with: ${this.#step} ${this.#detail()}`, ...peers].join(
      '\n'
    )
  }
}

/** Whether a peer serves a version and is done with its upgrade. */
const runs =
  (version: number) =>
  ({ object }: Seen): boolean =>
    object !== undefined && object.version === version && object.serving && object.phase === 'idle'

function sentence({ member, object }: Seen): string {
  if (object === undefined || object.phase === 'idle') return `${member.name}  ${stateText(object)}`
  const { target, phase, reason } = object
  return `${member.name}  ${stateText(object)}, on its way to v${target}: ${phase}${reason === '' ? '' : `, ${reason}`}`
}

function stateText(object: Seen['object']): string {
  if (object === undefined || object.version === 0) return 'has no object yet'
  const { version, highest, lowest, serving } = object
  if (!serving) return `v${version}, not serving`
  return `serves v${version}${highest > version ? ` and simulates v${highest}` : lowest < version ? ` and simulates v${lowest}` : ''}`
}
