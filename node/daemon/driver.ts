/**
 * The loop around the core (SPEC D20, D21): events in, `Peer.step`, effects out in their order. Events that wait together
 * share one durable write; nothing of any of them leaves before it.
 */
import type { Logger } from 'pino'
import { Refusal } from '../../src/errors.ts'
import type { Effect, Event, HostCommand, Topic } from '../../src/overlay/events.ts'
import type { Peer } from '../../src/overlay/peer.ts'
import type { ScheduleFacts } from '../../src/schedule/context.ts'
import type { Bundles } from '../bundles/bundles.ts'
import type { LockChange } from '../network/control.ts'
import type { Network } from '../network/network.ts'
import type { Store } from '../store/store.ts'
import { TurnWatch, turns } from './turns.ts'

/** Alarms kept for status. */
const MAX_ALARMS = 100

export interface Alarm {
  at: string
  name: string
  text: string
}

export interface DriverInit {
  peer: Peer
  store: Store
  network: Network
  bundles: Bundles
  run(command: HostCommand): void
  /** From which of these loads on, in calls a second, the core wants to hear. */
  watchLoad(thresholds: readonly number[]): void
  /** What the code of a custom schedule returns; rejects where it does not. */
  ask(bundle: string, module: string, facts: ScheduleFacts): Promise<unknown>
  /** After every step: others look at the peer's new state. */
  settled(): void
  /** This peer has left the fleet. */
  left(): void
  /** The core or its store failed: this loop has ended, whatever becomes of the error. */
  failed(error: unknown): void
  log: Logger
}

export class Driver {
  readonly alarms: Alarm[] = []
  /** Messages to other peers, by kind. */
  readonly sent: Record<string, number> = {}
  readonly #init: DriverInit
  readonly #queue: Event[] = []
  readonly #requests = new Map<number, { resolve(text: string): void; reject(refusal: Refusal): void }>()
  #request = 0
  #scheduled = false
  #closed = false
  #timer: NodeJS.Timeout | undefined
  /** The wall clock of the start, carried on by a clock that never goes back. */
  readonly #epochMs = Date.now() - performance.now()

  constructor(init: DriverInit) {
    this.#init = init
  }

  now(): number {
    return this.#epochMs + performance.now()
  }

  post(event: Event): void {
    if (this.#closed) return
    this.#queue.push(event)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#turn())
  }

  /** An operator's entry, statement or root, once it is durable here. @throws Refusal */
  inject(topic: Topic | 'root', bytes: Uint8Array, bundleHeld: boolean): Promise<string> {
    return this.#ask((request) => ({ type: 'inject', request, topic, bytes, bundleHeld }))
  }

  /** A program of this host takes a lock, or releases it, once that is durable. @throws Refusal */
  lock(name: string, change: LockChange | null): Promise<string> {
    return this.#ask((request) =>
      change === null ? { type: 'unlock', request, name } : { type: 'lock', request, name, ...change }
    )
  }

  #ask(eventOf: (request: number) => Event): Promise<string> {
    if (this.#closed) return Promise.reject(stopping())
    this.#request += 1
    const request = this.#request
    return new Promise((resolve, reject) => {
      this.#requests.set(request, { resolve, reject })
      this.post(eventOf(request))
    })
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const { reject } of this.#requests.values()) reject(stopping())
    this.#requests.clear()
  }

  /** A store or a core that fails must not go on: what it would say next could contradict what is on disk (D20). */
  #turn(): void {
    this.#scheduled = false
    if (this.#closed) return
    try {
      this.#takeEvents()
    } catch (error) {
      this.close()
      this.#init.failed(error)
    }
  }

  #takeEvents(): void {
    const { peer, store } = this.#init
    const effects: Effect[] = []
    const put = new Map<string, unknown>()
    const gone = new Set<string>()
    const events = this.#queue.splice(0)
    const watch = turns.hasSubscribers ? new TurnWatch() : undefined
    for (const event of events) {
      for (const effect of peer.step(event, this.now())) {
        if (effect.type !== 'persist') {
          effects.push(effect)
          continue
        }
        for (const key of effect.delete) {
          put.delete(key)
          gone.add(key)
        }
        for (const [key, value] of effect.put) {
          gone.delete(key)
          put.set(key, value)
        }
      }
    }
    watch?.stepped()
    if (put.size > 0 || gone.size > 0) store.commit({ put: [...put], delete: [...gone] })
    watch?.durable()
    for (const effect of effects) this.#perform(effect)
    this.#init.settled()
    if (watch !== undefined) turns.publish(watch.ended(peer.id, events, [...put.keys()], effects))
  }

  #perform(effect: Effect): void {
    const { network, log } = this.#init
    switch (effect.type) {
      case 'persist':
        throw new Error('a persist is committed before other effects')
      case 'send':
        this.sent[effect.message.kind] = (this.sent[effect.message.kind] ?? 0) + 1
        return network.send(effect.to, effect.message)
      case 'publish':
        return network.publish(effect.topic, effect.bytes)
      case 'connect':
        return this.#connect(effect.peer, [...effect.addresses])
      case 'disconnect':
        if (effect.blame)
          log.warn({ peer: effect.peer, reason: effect.reason }, 'a peer broke a rule; its session is closed')
        return network.disconnect(effect.peer, effect.reason, effect.blame)
      case 'send-piece':
        return void this.#sendPiece(effect.to, effect.bundle, effect.index)
      case 'store-piece':
        return void this.#storePiece(effect)
      case 'unpack':
        return void this.#unpack(effect.bundle)
      case 'remove-bundle':
        return void this.#removeBundle(effect.bundle)
      case 'run':
        log.debug(effect.command, 'host command')
        return this.#init.run(effect.command)
      case 'ask-schedule':
        return void this.#askSchedule(effect)
      case 'answer':
        return this.#answer(effect)
      case 'alarm':
        log.warn({ alarm: effect.name }, effect.text)
        this.alarms.push({ at: new Date(this.now()).toISOString(), name: effect.name, text: effect.text })
        if (this.alarms.length > MAX_ALARMS) this.alarms.shift()
        return
      case 'watch-load':
        return this.#init.watchLoad(effect.thresholds)
      case 'left':
        return this.#init.left()
      case 'wake':
        clearTimeout(this.#timer)
        this.#timer = setTimeout(
          () => this.post({ type: 'wake' }),
          Math.max(0, Math.min(effect.at - this.now(), 2 ** 31 - 1))
        )
        return
    }
  }

  #connect(peer: string, addresses: string[]): void {
    this.#init.network.connect(peer, addresses).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error)
      this.#init.log.debug({ peer, reason }, 'dial failed')
      this.post({ type: 'connect-failed', peer, reason })
    })
  }

  async #sendPiece(to: string, bundle: string, index: number): Promise<void> {
    const { network, bundles, log } = this.#init
    try {
      await network.writable(to)
      const bytes = await bundles.read(bundle, index)
      network.send(to, { kind: 'piece', bundle, index, bytes })
    } catch (error) {
      log.warn({ bundle, index, error }, 'a piece could not be read')
      if (error instanceof Refusal && error.code === 'WrongBundle') this.post({ type: 'piece-lost', bundle, index })
      network.send(to, { kind: 'lack', bundle, index })
    }
  }

  async #storePiece({ bundle, index, from, bytes }: Extract<Effect, { type: 'store-piece' }>): Promise<void> {
    const { bundles, log } = this.#init
    try {
      const stored = await bundles.store(this.#table(bundle), index, bytes)
      this.post({ type: 'piece-stored', bundle, index, from, outcome: stored ? 'stored' : 'wrong' })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      log.error({ bundle, index, reason }, 'a piece could not be stored')
      this.#perform({ type: 'alarm', name: error instanceof Refusal ? error.code : 'StoreFailed', text: reason })
      this.post({ type: 'piece-stored', bundle, index, from, outcome: 'failed' })
    }
  }

  async #unpack(bundle: string): Promise<void> {
    try {
      await this.#init.bundles.unpack(this.#table(bundle))
      this.post({ type: 'unpacked', bundle, ok: true, reason: '' })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      const wrong = error instanceof Refusal && error.code === 'WrongBundle'
      this.post({ type: 'unpacked', bundle, ok: false, wrong, reason })
    }
  }

  /**
   * The directory of an unpacked bundle. D10: what neither its record nor its pieces mend is fetched again.
   * @throws Refusal WrongBundle until then
   */
  async codeOf(bundle: string): Promise<string> {
    try {
      return await this.#init.bundles.path(bundle)
    } catch (error) {
      if (error instanceof Refusal && error.code === 'WrongBundle')
        this.post({ type: 'unpacked', bundle, ok: false, wrong: true, reason: error.message })
      throw error
    }
  }

  async #askSchedule({ question, bundle, module, facts }: Extract<Effect, { type: 'ask-schedule' }>): Promise<void> {
    try {
      const value = await this.#init.ask(bundle, module, facts)
      this.post({ type: 'schedule-answer', question, value })
    } catch (error) {
      const failure = error instanceof Error ? error.message : String(error)
      this.#init.log.warn({ module, failure }, 'a custom schedule failed; the upgrade waits')
      this.post({ type: 'schedule-answer', question, failure })
    }
  }

  /** What could not be deleted is found at the next boot, and deleted then. */
  async #removeBundle(bundle: string): Promise<void> {
    const { bundles, log } = this.#init
    try {
      await bundles.remove(bundle)
      log.info({ bundle }, 'a bundle that nobody needs here was removed')
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#perform({ type: 'alarm', name: 'RemoveFailed', text: `bundle ${bundle.slice(0, 12)}: ${reason}` })
    }
  }

  #table(bundle: string) {
    for (const entry of this.#init.peer.log.entries())
      if (entry.manifest.bundle.sha256 === bundle) return entry.manifest.bundle
    throw new Error(`no entry names bundle ${bundle}`)
  }

  #answer(effect: Extract<Effect, { type: 'answer' }>): void {
    const request = this.#requests.get(effect.request)
    this.#requests.delete(effect.request)
    if (effect.ok) request?.resolve(effect.text)
    else request?.reject(new Refusal(effect.refusal ?? 'Malformed', effect.text))
  }
}

const stopping = (): Refusal => new Refusal('Unreachable', 'this peer is stopping; inject at another')
