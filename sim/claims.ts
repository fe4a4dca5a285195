/**
 * What peers say of themselves (SPEC M42, M43): a signed record claims nothing that is not durable, or made durable before
 * it leaves, and no version as served that the host does not serve.
 */
import type { Effect } from '../src/overlay/events.ts'
import type { ObjectState } from '../src/overlay/lifecycle.ts'
import type { PermitState } from '../src/overlay/permits.ts'
import type { PeerRecord } from '../src/overlay/record.ts'
import type { Watched } from './checkers.ts'
import { type Links, linksOf } from './reference.ts'

type Say = (rule: 'M42' | 'M43', machine: Watched, text: string) => void

/** What a life of a process wrote down, durable or on its way; the value before, too, for a record may be sealed early in a step. */
interface Written {
  process: number
  now: Map<string, unknown>
  before: Map<string, unknown>
  checked: PeerRecord | undefined
}

const KEYS = /^(permit$|peer$|object\/)/

export class Claims {
  readonly #say: Say
  readonly #written = new Map<number, Written>()

  constructor(say: Say) {
    this.#say = say
  }

  onStep(machine: Watched, effects: readonly Effect[]): void {
    const written = this.#of(machine)
    const persist = effects.findIndex((effect) => effect.type === 'persist')
    // E1: an effect that comes first is performed whatever becomes of the write.
    if (persist > 0) this.#say('M42', machine, `it wants ${effects[0]!.type} done before what it writes is durable`)
    const first = effects[persist]
    if (first?.type === 'persist') {
      written.before = new Map(written.now)
      for (const [key, value] of first.put) if (KEYS.test(key)) written.now.set(key, value)
    }
    const { record } = machine
    if (record === undefined || record === written.checked) return
    written.checked = record
    this.#isWritten(machine, record, written)
  }

  #of(machine: Watched): Written {
    const known = this.#written.get(machine.index)
    if (known?.process === machine.process) return known
    const now = new Map([...machine.durable].filter(([key]) => KEYS.test(key)))
    const written = { process: machine.process, now, before: now, checked: machine.record }
    this.#written.set(machine.index, written)
    return written
  }

  #isWritten(machine: Watched, record: PeerRecord, { now, before }: Written): void {
    const either = <Value>(key: string, holds: (value: Value) => boolean): boolean =>
      [now.get(key), before.get(key)].some((value) => value !== undefined && holds(value as Value))
    const say = (text: string) => this.#say('M42', machine, `its record says ${text}, and its disk will not`)
    if (!either<{ incarnation: number }>('peer', ({ incarnation }) => incarnation === record.incarnation))
      say(`that this is life ${record.incarnation}`)
    for (const { holder, attempt, own } of record.permit?.grants ?? []) {
      const isKept = ({ grants }: PermitState) => grants.some((one) => one.holder === holder && one.attempt === attempt)
      if (own && !either('permit', isKept)) say(`that it granted ${holder} attempt ${attempt}`)
    }
    for (const [name, { version }] of Object.entries(record.objects)) {
      const isCommitted = ({ current }: ObjectState) => (current?.version ?? 0) === version
      if (version > 0 && !either(`object/${name}`, isCommitted)) say(`that ${name} is at version ${version}`)
    }
  }

  /** A record was signed; `links`: what the host serves of an object now. */
  onSealed(machine: Watched, record: PeerRecord, links: (object: string) => Links | undefined): void {
    for (const [name, { serving, version, lowest, highest }] of Object.entries(record.objects)) {
      if (!serving) continue
      const hosted = links(name)
      const served = hosted === undefined ? [] : linksOf(hosted)
      const lacking = [lowest, version, highest].find((one) => !served.includes(one))
      if (lacking === undefined) continue
      this.#say(
        'M43',
        machine,
        `it says that ${name} serves version ${lacking}; its host serves ${served.join(', ') || 'none'}`
      )
    }
  }
}
