/** Plans, attempt directories and an outward side, as the contract suite and the tests of single forms need them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LinkPlan, ObjectPlan, ObjectProcess, Outward, TransformPlan } from '../../../node/host/host.ts'
import { CallError } from '../../../src/errors.ts'
import type { ScheduleFacts } from '../../../src/schedule/context.ts'
import type { ObjectStatics, Value } from '../../../src/versions/types.ts'
import Register from '../../fixtures/host/register.ts'
import ColorSet from '../../fixtures/sets/color-set.ts'
import DirectColorSet from '../../fixtures/sets/direct-color-set.ts'
import FutureColorSet from '../../fixtures/sets/future-color-set.ts'
import IntSet from '../../fixtures/sets/int-set.ts'
import { interceptsOf, interfaceOf } from '../../fixtures/sets/links.ts'
import PastIntSet from '../../fixtures/sets/past-int-set.ts'

const fixtures = join(import.meta.dirname, '../../fixtures')
export const moduleOf = (name: string) => join(fixtures, `${name}.ts`)

/** What a custom schedule would be given, at a peer of this mood. */
export function scheduleFacts(mood: string): ScheduleFacts {
  const self = { peer: 'peer-a', group: null, labels: { mood }, version: 1, lowest: 1, highest: 1 }
  return {
    object: 'IntSet',
    version: 2,
    self: { ...self, phase: 'waiting', serving: true, failed: null },
    place: 0.5,
    neighbours: [],
    group: [],
    census: { known: 1, run: 0, simulate: 0, failed: 0 },
    approved: false,
    now: 0,
    seed: 1
  }
}

type Statics = ObjectStatics & { name: string; intercepts?: readonly string[] }

function link(statics: Statics, module: string, version: number, role: LinkPlan['role']): LinkPlan {
  return {
    version,
    className: statics.name,
    role,
    module: moduleOf(module),
    interface: interfaceOf(statics),
    intercepts: interceptsOf(statics)
  }
}

export const links = {
  register: link(Register, 'host/register', 1, 'current'),
  intSet: link(IntSet, 'sets/int-set', 1, 'current'),
  futureColorSet: link(FutureColorSet, 'sets/future-color-set', 2, 'future'),
  directColorSet: link(DirectColorSet, 'sets/direct-color-set', 2, 'future'),
  colorSet: link(ColorSet, 'sets/color-set', 2, 'current'),
  pastIntSet: link(PastIntSet, 'sets/past-int-set', 1, 'past')
}

/** The daemon's side of hosted code: gates that a test opens, what was said, what was asked. */
export class World implements Outward {
  readonly asked: Parameters<Outward['call']>[0][] = []
  readonly said: [string, Record<string, Value>][] = []
  readonly faults: [number, string][] = []
  group = [{ peer: 'peer00001', self: true, reachable: true }]
  #waiting: (() => void)[] = []
  #arrived: (() => void)[] = []

  async call(request: Parameters<Outward['call']>[0]): Promise<Value> {
    this.asked.push(request)
    if (request.method !== 'pass') return null
    if (request.observersOnly) throw new CallError('NotCommitted', 'not yet')
    await new Promise<void>((open) => {
      this.#waiting.push(open)
      for (const arrived of this.#arrived.splice(0)) arrived()
    })
    return null
  }
  members() {
    return this.group
  }
  log(message: string, fields: Record<string, Value>) {
    this.said.push([message, fields])
  }
  faulty(version: number, reason: string) {
    this.faults.push([version, reason])
  }

  /** Resolves when code waits at a gate. */
  async reached(): Promise<void> {
    if (this.#waiting.length === 0) await new Promise<void>((arrived) => this.#arrived.push(arrived))
  }
  open(): void {
    for (const open of this.#waiting.splice(0)) open()
  }
}

/** A temporary directory with attempts in it, gone after the test. */
export class Place {
  readonly directory = mkdtempSync(join(tmpdir(), 'upstart-host-'))
  attempt(number: number): string {
    return join(this.directory, `attempt-${number}`)
  }
  plan(attempt: number, ...linkPlans: LinkPlan[]): ObjectPlan {
    return {
      object: 'object',
      peer: 'peer00001',
      group: null,
      attemptDirectory: this.attempt(attempt),
      links: linkPlans
    }
  }
  transform(module: string | null, from: number, to: number, options: Partial<TransformPlan> = {}): TransformPlan {
    return {
      object: 'object',
      peer: 'peer00001',
      group: null,
      module: module === null ? null : moduleOf(module),
      from: 1,
      to: 2,
      oldDirectory: this.attempt(from),
      newDirectory: this.attempt(to),
      futures: [],
      skipped: [],
      carried: [],
      ...options
    }
  }
  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Calls of one object, as from outside. */
export function caller(object: ObjectProcess) {
  let calls = 0
  return (version: number, method: string, ...args: Value[]): Promise<any> =>
    object.call({ version, method, args, callId: `call-${++calls}`, held: false, timeoutMs: 10_000 })
}

/** Waits until `condition` holds; a test that waits in vain fails by its own time limit, naming what it waited for. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) {
    if (await condition()) return
    await new Promise((next) => setTimeout(next, 5))
  }
  throw new Error(`waited in vain until ${what}`)
}
