/** What operators hand to this peer: judged, answered, and told to everybody at once (SPEC T5, T10, O12). */
import { Refusal } from '../errors.ts'
import type { AntiEntropy } from './antientropy.ts'
import type { Event } from './events.ts'
import type { Learning } from './learning.ts'
import type { Leaving } from './leaving.ts'
import type { Outbox } from './outbox.ts'
import type { Pieces } from './pieces.ts'
import type { Roots } from './roots.ts'

type Injection = Extract<Event, { type: 'inject' }>

export interface InjectionsInit {
  readonly learning: Learning
  readonly roots: Roots
  readonly leaving: Leaving
  readonly pieces: Pieces
  readonly antiEntropy: AntiEntropy
  readonly outbox: Outbox
  readonly membership: { readonly neighbours: { all(): Iterable<string> } }
}

export class Injections {
  readonly #init: InjectionsInit
  readonly #onLogChange: () => void

  /** @param onLogChange called when the log has a new entry */
  constructor(init: InjectionsInit, onLogChange: () => void) {
    this.#init = init
    this.#onLogChange = onLogChange
  }

  take(event: Injection, now: number): void {
    const text = this.#judge(event, now)
    const { outbox, antiEntropy, membership } = this.#init
    if (text instanceof Refusal) {
      outbox.send({ type: 'answer', request: event.request, ok: false, refusal: text.code, text: text.message })
      return
    }
    if (event.topic !== 'root') outbox.send({ type: 'publish', topic: event.topic, bytes: event.bytes })
    outbox.send({ type: 'answer', request: event.request, ok: true, text })
    antiEntropy.wake(now)
    for (const peer of membership.neighbours.all()) antiEntropy.summarise(peer)
  }

  #judge(event: Injection, now: number): string | Refusal {
    switch (event.topic) {
      case 'entry':
        return this.#entry(event, now)
      case 'statement':
        return this.#statement(event, now)
      case 'root':
        return this.#init.leaving.isGone ? leaves() : this.#init.roots.inject(event.bytes, now)
    }
  }

  #entry(event: Injection, now: number): string | Refusal {
    const { learning, leaving, pieces } = this.#init
    if (leaving.isOrdered) return leaves()
    const result = learning.injectEntry(event, now)
    if (result instanceof Refusal) return result
    this.#onLogChange()
    pieces.want(result.manifest.bundle, result.version)
    pieces.holdAll(result.manifest.bundle.sha256)
    return `version ${result.version} (${result.hash.slice(0, 12)}) is accepted and on its way`
  }

  #statement(event: Injection, now: number): string | Refusal {
    if (this.#init.leaving.isGone) return leaves()
    const result = this.#init.learning.injectStatement(event, now)
    if (result instanceof Refusal) return result
    return `${result.body.what} ${result.hash.slice(0, 12)} is accepted and on its way`
  }
}

const leaves = (): Refusal => new Refusal('Unreachable', 'this peer leaves the fleet; inject at another')
