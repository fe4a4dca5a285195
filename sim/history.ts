/** The last events of a peer, kept and told for a report of what went wrong (SPEC M18). */
import type { Effect, Event } from '../src/overlay/events.ts'
import type { ObjectState } from '../src/overlay/lifecycle.ts'

export class History {
  readonly #most: number
  #steps: { atMs: number; event: Event; effects: readonly Effect[] }[] = []

  constructor(most: number) {
    this.#most = most
  }

  note(atMs: number, event: Event, effects: readonly Effect[]): void {
    this.#steps.push({ atMs, event, effects })
    if (this.#steps.length > this.#most * 2) this.#steps = this.#steps.slice(-this.#most)
  }

  said(): string[] {
    return this.#steps.slice(-this.#most).map(({ atMs, event, effects }) => {
      const wanted = effects.filter((effect) => effect.type !== 'wake').map(sayEffect)
      return `${atMs.toFixed(1)} ms ${sayEvent(event)} → ${wanted.join(', ') || 'nothing'}`
    })
  }
}

function sayEvent(event: Event): string {
  if (event.type === 'message') return `${event.message.kind} from ${event.from}`
  if (event.type === 'done') return `${event.command} ${event.ok ? 'done' : 'failed'} (attempt ${event.attempt})`
  return 'peer' in event ? `${event.type} ${event.peer}` : event.type
}

function sayEffect(effect: Effect): string {
  switch (effect.type) {
    case 'send':
      return `${effect.message.kind} to ${effect.to}`
    case 'run':
      return effect.command.command
    case 'persist':
      return `persist ${effect.put.map(([key, value]) => sayPut(key, value)).join(' ')}`
    case 'alarm':
      return `alarm ${effect.name}: ${effect.text}`
    default:
      return effect.type
  }
}

function sayPut(key: string, value: unknown): string {
  if (!key.startsWith('object/')) return key
  const { current, phase } = value as ObjectState
  return `${key}=${current?.version ?? 0}/${phase.name}`
}
