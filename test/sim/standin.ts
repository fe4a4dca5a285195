/** Stand-ins for the production peer: scripted ones, and the real one with a defect planted in it. */

import { calmHost } from '../../sim/host.ts'
import { type Scenario, scenario } from '../../sim/scenario.ts'
import type { MakePeer, Simulated } from '../../sim/simulated.ts'
import { type Result, run } from '../../sim/simulator.ts'
import type { Effect, Event, PeerInit } from '../../src/overlay/events.ts'
import { Peer } from '../../src/overlay/peer.ts'

/** The real peer; `alter` may replace the effects of each step, `hears` the event that it is given (none: it is kept back). */
export function defective(plant: {
  alter?: (effects: Effect[], event: Event, init: PeerInit) => Effect[]
  hears?: (event: Event) => Event | undefined
  viewSize?: number
}): MakePeer {
  return (init, authority, snapshot) => {
    const peer = new Peer(init, authority, snapshot)
    return {
      get view() {
        return { size: plant.viewSize ?? peer.view.size }
      },
      step(event, now) {
        const heard = plant.hears === undefined ? event : plant.hears(event)
        if (heard === undefined) return []
        const effects = peer.step(heard, now)
        return plant.alter?.(effects, event, init) ?? effects
      }
    }
  }
}

/** A small fleet that runs version 1 and upgrades to 2, with these changes. */
export function runDefective(plant: Parameters<typeof defective>[0], changes: Partial<Scenario> = {}): Result {
  const small = scenario({ seed: 1, peers: 3, durationMs: 120_000, host: calmHost, ...changes })
  return run(small, { makePeer: defective(plant) })
}

/** A peer that only says what it heard, and does what it is told for an event. */
export class Script implements Simulated {
  readonly view = { size: 0 }
  readonly heard: Event[] = []
  readonly answers: (event: Event, now: number) => Effect[]
  constructor(answers: (event: Event, now: number) => Effect[]) {
    this.answers = answers
  }
  step(event: Event, now: number): Effect[] {
    this.heard.push(event)
    return this.answers(event, now)
  }
}
