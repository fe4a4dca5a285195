/** What either end of the pipe may ask of the other (SPEC H4, H6). */
import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { Conversation, type Handlers } from '../../../node/host/conversation.ts'
import { throttled } from '../../../node/host/lines.ts'
import { CallError } from '../../../src/errors.ts'
import type { Value } from '../../../src/versions/types.ts'

function pair(handlers: Handlers): Conversation {
  const [one, other] = duplexPair()
  const init = {
    maxFrameBytes: 1_000_000,
    maxQueuedBytes: 100_000,
    closed: () => undefined,
    lost: (kind: string) => new CallError('OutcomeUnknown', kind)
  }
  new Conversation(other, { ...init, handlers })
  return new Conversation(one, { ...init, handlers: {} })
}

describe('host: conversation', () => {
  it('H4 what hosted code may ask for at once is bounded; what is beyond is Unavailable, the rest is answered', async () => {
    const gate = Promise.withResolvers<void>()
    let begun = 0
    const hosted = pair({
      outward: async () => {
        begun += 1
        await gate.promise
      },
      health: () => 'well'
    })
    const asked = Array.from({ length: 100 }, () => hosted.request('outward', 'x'))
    const outcomes = Promise.allSettled(asked.map(({ answer }) => answer))
    assert.equal(await hosted.request('health').answer, 'well')
    assert.ok(begun > 10 && begun < 30)
    gate.resolve()
    const names = (await outcomes).flatMap((one) => (one.status === 'rejected' ? [one.reason.name] : []))
    assert.deepEqual(new Set(names), new Set(['Unavailable']))
    assert.equal(names.length, 100 - begun)
    await hosted.request('outward', 'x').answer
  })

  it('H6 fields of what an object says are few and short', () => {
    const said: Record<string, Value>[] = []
    const log = throttled((_, fields) => said.push(fields))
    log('one', {
      text: 'x'.repeat(1_000_000),
      list: Array.from({ length: 100_000 }, () => ({ a: 'y'.repeat(50) })),
      n: 1
    })
    log('many', Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`field ${index}`, index])))
    log('none', new Uint8Array(1_000_000) as never)
    assert.equal(said[0]!['n'], 1)
    assert.ok(JSON.stringify(said[0]).length < 5000)
    assert.equal(Object.keys(said[1]!).length, 16)
    assert.deepEqual(said[2], {})
  })
})
