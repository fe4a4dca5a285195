/** Looks at every peer, as an operator would: by its status, over the control protocol, several times a second. */
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { type Client, createClient } from '../../node/client.ts'
import type { ObjectStatus, Status } from '../../node/daemon/status.ts'
import { Refusal } from '../../src/errors.ts'
import type { PhaseName } from '../../src/overlay/record.ts'
import type { Member } from './fleet.ts'
import { Looks, mostAtOnce, type Stretch } from './outages.ts'

/** Between two looks at one peer. A status of 30 peers is large: then it is looked at less often. */
const LOOK_MS = 100
const LOOK_MS_FOR_EACH_PEER = 20
const OBJECT = 'KV'

const DOWN: ReadonlySet<PhaseName> = new Set(['draining', 'transforming', 'proving', 'activating', 'returning'])

/** A peer as it was last seen. */
export interface Seen {
  readonly member: Member
  status: Status | undefined
  object: ObjectStatus | undefined
  /** Calls of others that it answers, a second. */
  rate: number
  /** What it did since the watch began, one state for each look. */
  readonly history: { atMs: number; state: State }[]
  readonly looks: Looks
}

/** One look in one word: the version it serves, `1+` with a future SO, `-` while it is down, `.` before it has any. */
export type State = '.' | '1' | '1+' | '-' | '2'

export function stateOf(object: ObjectStatus | undefined): State {
  if (object === undefined || (object.version === 0 && !object.serving)) return '.'
  if (isDown(object)) return '-'
  if (object.version >= 2) return '2'
  return object.highest > object.version ? '1+' : '1'
}

export const isDown = (object: ObjectStatus): boolean => !object.serving || DOWN.has(object.phase)

export class Watch {
  readonly seen: readonly Seen[]
  readonly #root: string
  readonly #clients: Client[] = []
  readonly #everyMs: number
  readonly #changed: (seen: Seen) => void
  readonly #isDown: (object: ObjectStatus) => boolean
  #ended = false
  #looking: Promise<unknown> = Promise.resolve()
  /** From here on being down is being down for the upgrade. */
  #countsFromMs = Number.POSITIVE_INFINITY

  /**
   * @param changed told when a peer is found in another state than before
   * @param chaos peers are killed: only what they do for the upgrade counts as being down, and it outlasts their deaths
   */
  constructor(members: readonly Member[], root: string, changed: (seen: Seen) => void, chaos: boolean) {
    this.#root = root
    this.#isDown = chaos ? ({ phase }) => DOWN.has(phase) : isDown
    this.#changed = changed
    this.#everyMs = Math.max(LOOK_MS, LOOK_MS_FOR_EACH_PEER * members.length)
    this.seen = members.map((member) => ({
      member,
      status: undefined,
      object: undefined,
      rate: 0,
      history: [],
      looks: new Looks(chaos)
    }))
  }

  /** @param failed told once, when a look fails for another reason than that the peer did not answer */
  async start(failed: (reason: Error) => void): Promise<void> {
    const root = await readFile(this.#root)
    const connect = (seen: Seen): Promise<Client> => createClient({ root, peers: [seen.member.address] })
    for (const seen of this.seen) this.#clients.push(await connect(seen))
    const loops = this.seen.map(async (seen, index) => {
      while (!this.#ended) {
        if (!(await this.#look(seen, this.#clients[index]!))) {
          // A client that lost its peer asks another one from then on; a new one asks the peer itself.
          await this.#clients[index]!.close()
          this.#clients[index] = await connect(seen)
        }
        await delay(this.#everyMs)
      }
    })
    this.#looking = Promise.all(loops).catch((error: Error) => {
      if (!this.#ended) failed(error)
    })
  }

  countFromNow(): void {
    this.#countsFromMs = now()
  }

  /** Resolves when `condition` holds for what was seen last. */
  async until(condition: (seen: Seen) => boolean): Promise<void> {
    while (!this.seen.every(condition)) await delay(20)
  }

  /** The most members of one group that were down at one moment, by their own records and by the looks. */
  groupDownMax(): number {
    const groups = Map.groupBy(this.seen, ({ member }) => member.group)
    return Math.max(...[...groups.values()].map((members) => mostAtOnce(members.map((one) => this.#outages(one)))))
  }

  async end(): Promise<void> {
    this.#ended = true
    await this.#looking
    await Promise.all(this.#clients.map((client) => client.close()))
  }

  #outages({ object, looks }: Seen): Stretch[] {
    const recorded = (object?.unavailableAt ?? []).map((fromMs, index) => ({
      fromMs,
      toMs: fromMs + object!.unavailableMs[index]!
    }))
    return [...recorded.filter(({ fromMs }) => fromMs >= this.#countsFromMs), ...looks.proven]
  }

  /** False where the peer did not answer. */
  async #look(seen: Seen, client: Client): Promise<boolean> {
    const askedMs = now()
    const status = await statusOf(client)
    const answeredMs = now()
    if (status?.peer !== seen.member.peer) {
      seen.looks.miss()
      return false
    }
    const last = seen.history.at(-1)
    if (last !== undefined && seen.status !== undefined) {
      const rate = ((answered(status) - answered(seen.status)) * 1000) / (answeredMs - last.atMs)
      // Smoothed: a rate of a tenth of a second jumps.
      seen.rate = seen.rate * 0.8 + rate * 0.2
    }
    seen.status = status
    seen.object = status.objects[OBJECT]
    const found = stateOf(seen.object)
    // What has not served yet is not down.
    const state = found === '-' && (last === undefined || last.state === '.') ? '.' : found
    seen.history.push({ atMs: answeredMs, state })
    if (state !== (last?.state ?? '.')) this.#changed(seen)
    if (askedMs >= this.#countsFromMs && seen.object !== undefined)
      seen.looks.add(this.#isDown(seen.object), askedMs, answeredMs)
    return true
  }
}

/** Undefined where the peer did not answer: whether it lives is for its process to say, and how long to wait for the bound. */
async function statusOf(client: Client): Promise<Status | undefined> {
  try {
    return await client.status()
  } catch (error) {
    if (error instanceof Refusal && error.code === 'Unreachable') return undefined
    throw error
  }
}

/** Unix ms, as the peers' own records have it. */
const now = (): number => performance.timeOrigin + performance.now()
const answered = (status: Status): number => status.answered.reduce((sum, { count }) => sum + count, 0)
