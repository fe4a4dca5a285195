/**
 * Questions to the code of custom schedules (SPEC S60 to S63): asked when a condition is looked at and something that the
 * code sees has changed, one at a time; what it answered last counts until then.
 */

import type { Generator } from '../prng.ts'
import type { ScheduledPeer, ScheduleFacts } from '../schedule/context.ts'
import { MAX_PEERS_SHOWN, type Opinion, REST_MS, readAnswer } from '../schedule/custom.ts'
import { SmallMap } from '../small.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { Census } from './census.ts'
import type { Event, PeerInit } from './events.ts'
import type { Outbox } from './outbox.ts'
import type { Pieces } from './pieces.ts'
import type { ObjectRecord, PeerRecord } from './record.ts'
import type { View } from './view.ts'

/** Code that fails is asked again after this time, then after twice as much, up to the most. */
const [FIRST_RETRY_MS, LAST_RETRY_MS] = [10_000, 600_000]
const MAX_KEPT = 64
const MAX_REASON = 160

export interface QuestionsInit {
  readonly init: PeerInit
  readonly log: UpgradeLog
  readonly statements: StatementSet
  readonly view: View
  readonly pieces: Pieces
  readonly census: Census
  readonly outbox: Outbox
  readonly generator: Generator
  /** Of this peer, and what it would say of each now: its signed record may be of a moment ago. */
  readonly objects: ReadonlyMap<string, { record(): ObjectRecord }>
  isNeighbour(peer: string): boolean
  hash53(text: string): number
}

/** About one upgrade of one object, to one module. */
interface Question {
  opinion: Opinion
  /** When it was answered or failed, and failures in a row; when it was last looked whether there is news. */
  at: number
  lookedAt: number
  failures: number
  /** The state of the view, the census, the statements and the log when it was last looked at what the code would see … */
  looked: string
  /** … and that, as far as it is news. */
  seen: number
}

export class Questions {
  readonly #init: QuestionsInit
  readonly #questions = new SmallMap<string, Question>()
  /** The one that is under way. */
  #pending: { number: number; question: Question } | undefined
  #number = 0

  constructor(init: QuestionsInit) {
    this.#init = init
  }

  /** What the code thinks; asks it where that may have changed. */
  opinion(entry: Entry, object: string, module: string, now: number): Opinion {
    const { pieces } = this.#init
    const question = this.#question(`${entry.hash} ${object} ${module}`)
    const { sha256: bundle } = entry.manifest.bundle
    if (this.#pending === undefined && pieces.isReady(bundle) && this.#isDue(question, entry, object, now)) {
      const facts = this.#facts(entry, object, now)
      question.seen = this.#newsIn(facts)
      this.#number += 1
      this.#pending = { number: this.#number, question }
      this.#init.outbox.run({ type: 'ask-schedule', question: this.#number, bundle, module, facts })
    }
    return this.#now(question, pieces.isReady(bundle), now)
  }

  /** The code answered, or did not. */
  onAnswer(event: Extract<Event, { type: 'schedule-answer' }>, now: number): void {
    if (event.question !== this.#pending?.number) return
    const { question } = this.#pending
    this.#pending = undefined
    question.at = now
    try {
      if (event.failure !== undefined) throw new Error(event.failure)
      const answer = readAnswer(event.value)
      question.opinion = { known: 'answer', answer, inMs: answer.inMs }
      question.failures = 0
    } catch (error) {
      question.failures += 1
      const againMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (question.failures - 1))
      const reason = (error as Error).message.slice(0, MAX_REASON)
      question.opinion = { known: 'failure', reason, againMs, inMs: againMs }
    }
  }

  #question(key: string): Question {
    const known = this.#questions.get(key)
    if (known !== undefined) return known
    const question: Question = { opinion: { known: 'asked' }, at: 0, lookedAt: 0, failures: 0, looked: '', seen: 0 }
    this.#questions.set(key, question)
    if (this.#questions.size > MAX_KEPT) this.#questions.delete(this.#questions.keys().next().value!)
    return question
  }

  #isDue(question: Question, entry: Entry, object: string, now: number): boolean {
    const { opinion, at } = question
    const looked = this.#look()
    if (opinion.known === 'asked') {
      question.looked = looked
      return true
    }
    const passedMs = now - at
    if (opinion.known === 'failure') return passedMs >= opinion.againMs
    if (passedMs < REST_MS) return false
    if (opinion.inMs !== undefined && passedMs >= opinion.inMs) return true
    if (looked === question.looked || now - question.lookedAt < REST_MS) return false
    question.looked = looked
    question.lookedAt = now
    return this.#newsIn(this.#facts(entry, object, now)) !== question.seen
  }

  /** The opinion as it is now, with the time that is left until it has to be asked for anew. */
  #now(question: Question, canAsk: boolean, now: number): Opinion {
    const { opinion, at, looked, lookedAt } = question
    if (opinion.known === 'asked') return opinion
    // The answer that is on its way wakes the peer, whichever question it is of; so does a bundle that comes.
    if (this.#pending !== undefined || !canAsk) return { ...opinion, inMs: undefined }
    const left = (ms: number, since = at) => Math.max(1, since + ms - now)
    if (opinion.known === 'failure') return { ...opinion, inMs: left(opinion.againMs) }
    const rests = looked === this.#look() ? [] : [left(REST_MS, Math.max(at, lookedAt))]
    const asks = opinion.inMs === undefined ? [] : [left(opinion.inMs)]
    const next = [...rests, ...asks]
    return { ...opinion, inMs: next.length === 0 ? undefined : Math.min(...next) }
  }

  /** Changes with whatever the code could see change; cheap. */
  #look(): string {
    const { view, census, statements, log } = this.#init
    return `${view.changes} ${view.isFull ? census.changes : ''} ${statements.size} ${log.size}`
  }

  /** S61: time and chance are no news, nor that the peer itself came to wait. */
  #newsIn({ now: _now, seed: _seed, self, ...rest }: ScheduleFacts): number {
    return this.#init.hash53(JSON.stringify({ ...rest, self: { ...self, phase: '' } }))
  }

  #facts(entry: Entry, object: string, now: number): ScheduleFacts {
    const around = this.#init
    const { init, view, statements, generator, objects } = around
    const neighbours: ScheduledPeer[] = []
    const group: ScheduledPeer[] = []
    const census = { known: 0, run: 0, simulate: 0, failed: 0 }
    const count = (one: ScheduledPeer): void => {
      census.known += 1
      if (one.version >= entry.version) census.run += 1
      else if (one.highest >= entry.version) census.simulate += 1
      if (one.failed !== null) census.failed += 1
    }
    const self = shown(init, objects.get(object)?.record(), entry.version)
    count(self)
    for (const { record } of view.all()) {
      if (record.peer === init.peer) continue
      const one = shown(record, record.objects[object], entry.version)
      if (around.isNeighbour(record.peer)) neighbours.push(one)
      if (init.group !== null && record.group === init.group) group.push(one)
      if (record.objects[object] !== undefined) count(one)
    }
    // A full view is a sample; what the fleet counts in constant state is not.
    const reading = view.isFull ? this.#init.census.read(entry, object, now) : undefined
    if (reading !== undefined) {
      const { reached, simulate, failed } = reading
      Object.assign(census, { known: this.#init.census.size(object), run: reached, simulate, failed })
    }
    return {
      object,
      version: entry.version,
      self,
      place: around.hash53(`${entry.hash}/${init.peer}`) / 2 ** 53,
      neighbours: bounded(neighbours),
      group: bounded(group),
      census,
      approved: statements.approved(entry.hash),
      now,
      seed: generator.bits()
    }
  }
}

/** In one order, whoever was heard of first: it must not be taken for news. */
const bounded = (peers: ScheduledPeer[]): ScheduledPeer[] =>
  peers.sort((a, b) => (a.peer < b.peer ? -1 : 1)).slice(0, MAX_PEERS_SHOWN)

function shown(
  { peer, group, labels }: Pick<PeerRecord, 'peer' | 'group' | 'labels'>,
  object: PeerRecord['objects'][string] | undefined,
  version: number
): ScheduledPeer {
  const failure = object?.failed.find((one) => one.version === version)
  return {
    peer,
    group,
    labels,
    version: object?.version ?? 0,
    lowest: object?.lowest ?? 0,
    highest: object?.highest ?? 0,
    phase: object?.phase ?? 'idle',
    serving: object?.serving ?? false,
    failed: failure?.reason ?? null
  }
}
