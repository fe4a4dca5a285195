/**
 * A hostile peer (SPEC M46): one of the fleet's own, with a key that signs its record and nothing else. Beside what its
 * honest code says it forges, repeats what is old, offers what it lacks, and contradicts itself; on connections that it has.
 */
import type { Message } from '../src/overlay/messages.ts'
import type { Generator } from '../src/prng.ts'
import { hash64 } from './authority.ts'
import { EPOCH_MS } from './machine.ts'
import { peerName } from './names.ts'
import type { Simulator } from './simulator.ts'

/** Between two of its turns. */
export const HOSTILE_MS = 700
/** Of what it was told it repeats these. */
const REMEMBERED = 16

export class Hostility {
  readonly #simulator: Simulator
  readonly #random: Generator
  /** Node → deltas that it was sent. */
  readonly #heard = new Map<number, Message[]>()

  constructor(simulator: Simulator, random: Generator) {
    this.#simulator = simulator
    this.#random = random
  }

  /** One turn. */
  act(node: number): void {
    const { network, machines } = this.#simulator
    if (!this.#heard.has(node)) this.#heard.set(node, [])
    if (!machines[node]!.up) return
    const random = this.#random
    for (const victim of random.sample(network.neighbours(node), 2))
      for (let left = random.between(1, 3); left > 0; left--) network.send(node, victim, this.#lie(node))
  }

  hears(node: number, message: Message): void {
    const heard = this.#heard.get(node)
    if (heard === undefined || message.kind !== 'delta') return
    heard.push(message)
    if (heard.length > REMEMBERED) heard.shift()
  }

  #lie(node: number): Message {
    const { world, machines } = this.#simulator
    const random = this.#random
    const bundle = world.bundles.size > 0 ? random.pick([...world.bundles.keys()]) : hash64('no bundle')
    const index = random.below(12)
    const forged = world.forgeBytes(300)
    const delta = { kind: 'delta' as const, more: random.chance(0.5), entries: [], statements: [], records: [] }
    const heard = this.#heard.get(node)!
    const what = random.chance(0.3) && heard.length > 0 ? random.pick(heard) : undefined
    return (
      what ??
      random.pick<() => Message>([
        () => ({ ...delta, entries: [forged] }),
        () => ({ ...delta, statements: [forged] }),
        () => ({ ...delta, records: [forged] }),
        () => ({ kind: 'have', bundle, pieces: Uint8Array.of(255, 255) }),
        () => ({ kind: 'have', bundle, pieces: Uint8Array.of(0, 0) }),
        () => ({ kind: 'want', bundle, index }),
        () => ({ kind: 'lack', bundle, index }),
        () => ({ kind: 'piece', bundle, index, bytes: forged }),
        () => ({ kind: 'neighbour', what: random.pick(['ask', 'accept', 'refuse', 'leave']), urgent: true }),
        () => this.#claims(),
        () => this.#contacts(machines.length),
        () => ({
          kind: 'digest',
          tips: [{ version: 1, hash: hash64('a tip') }],
          statements: [],
          records: machines.map(({ id }) => [id, 1_000_000, 1_000_000]),
          room: 1000,
          answer: true
        })
      ])()
    )
  }

  #claims(): Message {
    const head = { version: this.#random.below(9), hash: hash64(`head ${this.#random.below(9)}`) }
    const time = EPOCH_MS + this.#random.below(1e9)
    // Half of the time it trusts a root, too, that nobody made.
    const root = head.version > 4 ? { root: head } : {}
    return { kind: 'summary', head, ...root, statements: 'all', records: 'none', census: '', news: true, time }
  }

  #contacts(count: number): Message {
    const contacts = Array.from({ length: 8 }, () => ({
      peer: peerName(this.#random.below(count)),
      addresses: ['/nowhere'],
      ageMs: 0
    }))
    return { kind: 'shuffle', contacts, answer: this.#random.chance(0.5) }
  }
}
