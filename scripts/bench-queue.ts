/**
 * The simulator without the protocol: scripts/bench queue [PEERS…] [--json]. First its event queue alone, with so many
 * events that wait: each is taken, and another scheduled, most for within milliseconds, some for within minutes. Then the
 * whole simulator with stand-ins for peers, which do nothing but ask a neighbour once a minute and answer.
 */
import { parseArgs } from 'node:util'
import { EventKind, Kernel } from '../sim/kernel.ts'
import { immediateSchedule, scenario } from '../sim/scenario.ts'
import type { Simulated } from '../sim/simulated.ts'
import { Simulator } from '../sim/simulator.ts'
import type { Effect, Event, PeerInit } from '../src/overlay/events.ts'
import type { Message } from '../src/overlay/messages.ts'
import type { Contact } from '../src/overlay/passive.ts'
import { Generator } from '../src/prng.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false } }
})
const SIZES = [10_000, 100_000, 1_000_000]
const EVENTS = 4_000_000
const MINUTES = 5
const MINUTE_MS = 60_000

const QUESTION: Message = { kind: 'lack', bundle: '', index: 0 }
const ANSWER: Message = { kind: 'lack', bundle: '', index: 1 }

class Echo implements Simulated {
  readonly view = { size: 0 }
  readonly #contacts: readonly Contact[]
  readonly #random: Generator
  constructor(init: PeerInit, snapshot: ReadonlyMap<string, unknown>) {
    this.#contacts = snapshot.get('contacts') as Contact[]
    this.#random = new Generator(init.seed)
  }

  step(event: Event, now: number): Effect[] {
    const wake: Effect = { type: 'wake', at: now + MINUTE_MS * (0.5 + this.#random.fraction()) }
    switch (event.type) {
      case 'boot':
        return [wake]
      case 'wake':
        return [{ type: 'send', to: this.#random.pick(this.#contacts).peer, message: QUESTION }, wake]
      case 'message':
        return event.message === QUESTION ? [{ type: 'send', to: event.from, message: ANSWER }, wake] : []
      default:
        return []
    }
  }
}

/** Of processor time: others may use the machine. */
function perSecond(work: () => number): number {
  const { user, system } = process.cpuUsage()
  const events = work()
  const spent = process.cpuUsage()
  return events / ((spent.user - user + spent.system - system) / 1e6)
}

function queueAlone(pending: number): number {
  const kernel = new Kernel()
  const random = new Generator(1)
  for (let node = 0; node < pending; node++) kernel.at(random.fraction() * 10 * MINUTE_MS, EventKind.wake, node)
  return perSecond(() => {
    for (let taken = 0; taken < EVENTS; taken++) {
      kernel.next(Number.MAX_SAFE_INTEGER)
      const delayMs = random.chance(0.7) ? 5 + random.fraction() * 10 : random.fraction() * 10 * MINUTE_MS
      kernel.after(delayMs, EventKind.arrive, kernel.node)
    }
    return EVENTS
  })
}

function simulatorAlone(peers: number): number {
  const action = {
    atMs: 0,
    what: 'upgrade',
    schedule: immediateSchedule,
    pieces: 1,
    future: false,
    past: false
  } as const
  const lean = { start: 'formed', groupSize: 0, strict: false, history: 0, writesPerSecond: 0 } as const
  const simulator = new Simulator(scenario({ seed: 1, peers, ...lean, actions: [action] }), {
    makePeer: (init, _, snapshot) => new Echo(init, snapshot)
  })
  simulator.advance(MINUTE_MS)
  const { events } = simulator.kernel
  return perSecond(() => {
    simulator.advance((1 + MINUTES) * MINUTE_MS)
    return simulator.kernel.events - events
  })
}

const sizes = positionals.length > 0 ? positionals.map(Number) : SIZES
const millions = (number: number) => (number / 1e6).toFixed(2)
if (!values.json)
  console.log(
    '| waiting events, or peers | queue alone, M events a CPU s | simulator with echoing peers |\n|---|---|---|'
  )
for (const size of sizes) {
  const figures = { size, queue: queueAlone(size), simulator: simulatorAlone(size) }
  if (values.json) console.log(JSON.stringify(figures))
  else console.log(`| ${size} | ${millions(figures.queue)} | ${millions(figures.simulator)} |`)
}
