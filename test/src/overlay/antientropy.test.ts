import assert from 'node:assert/strict'
import { hash53, hash64 } from '../../../sim/authority.ts'
import { AntiEntropy } from '../../../src/overlay/antientropy.ts'
import { DEFAULT_LIMITS, type Effect } from '../../../src/overlay/events.ts'
import { type Message, messageSchema } from '../../../src/overlay/messages.ts'
import { Outbox } from '../../../src/overlay/outbox.ts'
import { View } from '../../../src/overlay/view.ts'
import { Generator } from '../../../src/prng.ts'
import { UpgradeLog } from '../../../src/upgrade/log.ts'
import type { Statement } from '../../../src/upgrade/statement.ts'
import { StatementSet } from '../../../src/upgrade/statements.ts'

const FLEET = hash64('fleet')

function statement(sequence: number): Statement {
  const body = { format: 1, fleet: FLEET, sequence, note: '', what: 'leave', peer: `peer-${sequence}` } as const
  const hash = hash64(`statement ${sequence}`)
  return { hash, keys: [], body, expires: 0, bytes: new TextEncoder().encode(hash) }
}

class End {
  readonly statements = new StatementSet(hash53)
  readonly outbox = new Outbox()
  readonly core = new AntiEntropy({
    self: 'peer-a',
    freshen: () => undefined,
    awaitsOthers: () => false,
    log: new UpgradeLog(FLEET),
    statements: this.statements,
    view: new View({
      group: null,
      self: 'peer-a',
      limits: { view: 8, strangers: 8 },
      hash53,
      isKept: () => false,
      pins: [],
      lost: () => undefined
    }),
    census: { digest: '', dueAt: Number.POSITIVE_INFINITY, take: () => undefined },
    limits: DEFAULT_LIMITS,
    generator: new Generator(1),
    outbox: this.outbox,
    hash53,
    now: () => 0
  })

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
})
