import assert from 'node:assert/strict'
import { hash53, hash64, World } from '../../../sim/authority.ts'
import { AntiEntropy } from '../../../src/overlay/antientropy.ts'
import { DEFAULT_LIMITS, type Effect } from '../../../src/overlay/events.ts'
import { type Message, messageSchema } from '../../../src/overlay/messages.ts'
import { Outbox } from '../../../src/overlay/outbox.ts'
import { signedRecord } from '../../../src/overlay/record.ts'
import { Roots } from '../../../src/overlay/roots.ts'
import { View } from '../../../src/overlay/view.ts'
import { Generator } from '../../../src/prng.ts'
import { UpgradeLog } from '../../../src/upgrade/log.ts'
import type { Statement } from '../../../src/upgrade/statement.ts'
import { StatementSet } from '../../../src/upgrade/statements.ts'

const FLEET = hash64('fleet')
const VIEW = 8
const { roundMaxMs, roundMaxLargeMs } = DEFAULT_LIMITS

function statement(sequence: number): Statement {
  const body = { format: 1, fleet: FLEET, sequence, note: '', what: 'leave', peer: `peer-${sequence}` } as const
  const hash = hash64(`statement ${sequence}`)
  return { hash, keys: [], body, expires: 0, bytes: new TextEncoder().encode(hash) }
}

/** Records that were made: no two are the same. */
let records = 0

class End {
  readonly statements = new StatementSet(hash53)
  readonly outbox = new Outbox()
  readonly log = new UpgradeLog(FLEET)
  readonly roots = new Roots({
    authority: new World(1, true).authorityOf(() => undefined),
    log: this.log,
    statements: this.statements,
    outbox: this.outbox,
    chronicle: { hear: () => undefined }
  })
  awaitsOthers = false
  readonly view = new View({
    group: null,
    self: 'peer-a',
    limits: { view: VIEW, strangers: VIEW },
    hash53,
    isKept: () => false,
    pins: [],
    lost: () => undefined
  })
  readonly core = new AntiEntropy({
    self: 'peer-a',
    freshen: () => undefined,
    awaitsOthers: () => this.awaitsOthers,
    log: this.log,
    statements: this.statements,
    roots: this.roots,
    view: this.view,
    census: { digest: '', dueAt: Number.POSITIVE_INFINITY, take: () => undefined },
    limits: DEFAULT_LIMITS,
    generator: new Generator(1),
    outbox: this.outbox,
    hash53,
    now: () => 0
  })

  /** It knows of as many others as it keeps: its fleet may be larger. */
  static full(): End {
    const end = new End()
    const head = { version: 0, hash: FLEET }
    const known = { format: 1 as const, incarnation: 1, head, group: null, labels: {}, addresses: [], objects: {} }
    for (let index = 0; index < VIEW; index++) {
      const record = { ...known, peer: `peer000${index}`, counter: ++records, permit: null }
      end.view.put(signedRecord(record, new TextEncoder().encode(`record ${records}`), hash53), 0)
    }
    return end
  }

  /** Rounds that it begins by itself within this time: when, ms, and whether as one that has news. */
  rounds(forMs: number): { at: number; news: boolean }[] {
    const begun: { at: number; news: boolean }[] = []
    const peers = new Set(['peer-b', 'peer-c'])
    const neighbours = { size: peers.size, has: (peer: string) => peers.has(peer), all: () => peers }
    for (let now = 1; now <= forMs; ) {
      const nextAt = this.core.round(neighbours, now)
      for (const one of this.said()) if (one.kind === 'summary') begun.push({ at: now, news: one.news === true })
      now = nextAt
    }
    return begun
  }

  /** What it says since it was asked last. */
  said(): Message[] {
    const sends = this.outbox.drain().filter((one): one is Extract<Effect, { type: 'send' }> => one.type === 'send')
    return sends.map(({ message }) => messageSchema.parse(message))
  }
}

describe('anti-entropy (SPEC O4)', () => {
  it('O4: a set of statements larger than a digest comes over whole, in a bounded number of messages', () => {
    const known = new Map<string, Statement>()
    const [old, late] = [new End(), new End()]
    for (let sequence = 1; sequence <= 10_000; sequence++) {
      const one = statement(sequence)
      known.set(one.hash, one)
      old.statements.add(one)
    }
    let messages = 0
    late.core.ask('peer-old')
    for (let asks = 0; asks < 100 && late.statements.digest !== old.statements.digest; asks++) {
      for (const message of late.said()) {
        messages += 1
        if (message.kind === 'digest') old.core.onDigest('peer-late', message, 0)
      }
      for (const message of old.said()) {
        if (message.kind !== 'delta') continue
        for (const bytes of message.statements) late.statements.add(known.get(new TextDecoder().decode(bytes))!)
      }
      late.core.ask('peer-old')
    }
    assert.equal(late.statements.digest, old.statements.digest)
    assert.ok(messages < 100, `${messages} digests`)
  })

  it('O4: of records alone full views tell each other seldom, but who waits for what others show is answered at once', () => {
    const [holder, calm, waiting] = [End.full(), End.full(), End.full()]
    waiting.awaitsOthers = true
    const answers = (from: End): string[] => {
      from.core.summarise('peer-holder')
      for (const one of from.said()) if (one.kind === 'summary') holder.core.onSummary('peer-b', one, 1000)
      return holder.said().map(({ kind }) => kind)
    }
    calm.core.ask('peer-holder')
    for (const one of calm.said()) if (one.kind === 'digest') holder.core.onDigest('peer-b', one, 0)
    holder.said()
    assert.deepEqual([answers(calm), answers(waiting)], [[], ['digest']])
  })

  it('O4: in a fleet larger than the view rounds come every five minutes, at least, while others are waited for', () => {
    const longest = (end: End): number => {
      const times = end.rounds(4 * 3_600_000).map(({ at }) => at)
      return Math.max(...times.slice(1).map((at, index) => at - times[index]!))
    }
    const [calm, waiting] = [End.full(), End.full()]
    waiting.awaitsOthers = true
    // What is drawn is a quarter more or less.
    assert.ok(longest(waiting) <= (roundMaxLargeMs / 2) * 1.25)
    assert.ok(longest(calm) > (roundMaxLargeMs / 2) * 1.25)
  })

  it('O9: what is new of a panel is told in three rounds at least before they get rare', () => {
    const end = End.full()
    assert.ok(!end.rounds(3_600_000).some(({ news }) => news))
    end.core.wake(0, true)
    const told = end.rounds(2 * roundMaxMs).filter(({ news }) => news)
    assert.ok(told.length >= 3, `${told.length} rounds`)
  })
})
