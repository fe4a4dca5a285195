import assert from 'node:assert/strict'
import type { Effect } from '../../../src/overlay/events.ts'
import { DEFAULT_LIMITS } from '../../../src/overlay/events.ts'
import { Outbox } from '../../../src/overlay/outbox.ts'
import { Pieces } from '../../../src/overlay/pieces.ts'
import { Generator } from '../../../src/prng.ts'

const TABLE = {
  length: 3 * 262_144,
  sha256: 'b'.repeat(64),
  pieceLength: 262_144,
  pieces: ['1', '2', '3'].map((digit) => digit.repeat(64))
}
const NEIGHBOURS = ['peer0001']

function fetching() {
  const outbox = new Outbox()
  const pieces = new Pieces(DEFAULT_LIMITS, new Generator(1), outbox, { holders: () => [], connect: () => false })
  pieces.want(TABLE, 1)
  pieces.arrange(TABLE.sha256, 1, true)
  const ask = (now: number) => pieces.ask(NEIGHBOURS, now)
  const wants = () => outbox.drain().flatMap((effect: Effect) => (effect.type === 'send' ? [effect.message] : []))
  const piece = (index: number) => ({ kind: 'piece' as const, bundle: TABLE.sha256, index, bytes: new Uint8Array(1) })
  return { pieces, outbox, ask, wants, piece }
}

describe('pieces (SPEC O7)', () => {
  it('O7: a bundle that the disk would not take is unpacked again, ever more rarely, and not fetched again', () => {
    const { pieces, outbox, ask } = fetching()
    pieces.holdAll(TABLE.sha256)
    const unpacked: number[] = []
    for (let now = 0; now <= 4 * 3_600_000; now = Math.min(ask(now), now + 60_000)) {
      const effects = outbox.drain()
      assert.ok(effects.every((effect) => effect.type === 'unpack' || effect.type === 'wake'))
      if (effects.length === 0) continue
      unpacked.push(now)
      pieces.onUnpacked({ type: 'unpacked', bundle: TABLE.sha256, ok: false, wrong: false, reason: 'disk full' }, now)
    }
    assert.ok(unpacked.length > 20 && unpacked.length < 40, `${unpacked.length} times in four hours`)
    assert.ok(unpacked.at(-1)! > 3.5 * 3_600_000)
  })

  it('O7: a bundle whose pieces do not give it is fetched anew, three times at most', () => {
    const { pieces, outbox } = fetching()
    for (let round = 1; round <= 3; round++) {
      pieces.holdAll(TABLE.sha256)
      assert.equal(outbox.drain().length, 1)
      pieces.onUnpacked({ type: 'unpacked', bundle: TABLE.sha256, ok: false, wrong: true, reason: 'damaged' }, 0)
      assert.deepEqual(pieces.share(TABLE.sha256), [round < 3 ? 0 : 3, 3])
    }
  })

  it('D10: code that is found damaged is fetched anew once, however often it is looked for meanwhile', () => {
    const { pieces, outbox } = fetching()
    const damaged = { type: 'unpacked', bundle: TABLE.sha256, ok: false, wrong: true, reason: 'damaged' } as const
    pieces.holdAll(TABLE.sha256)
    pieces.onUnpacked({ ...damaged, ok: true, wrong: false }, 0)
    outbox.drain()
    for (let time = 0; time < 10; time++) pieces.onUnpacked(damaged, time)
    assert.deepEqual([pieces.share(TABLE.sha256), pieces.isReady(TABLE.sha256)], [[0, 3], false])
    pieces.holdAll(TABLE.sha256)
    assert.deepEqual(
      outbox.drain().map(({ type }) => type),
      ['unpack']
    )
  })

  it('D8: a piece that the disk lost is fetched again, and alone', () => {
    const { pieces, outbox, ask, wants } = fetching()
    pieces.holdAll(TABLE.sha256)
    pieces.onUnpacked({ type: 'unpacked', bundle: TABLE.sha256, ok: true, reason: '' }, 0)
    outbox.drain()
    pieces.onLost(TABLE.sha256, 1)
    assert.deepEqual([pieces.share(TABLE.sha256), pieces.isReady(TABLE.sha256)], [[2, 3], true])
    const asked: unknown[] = []
    for (let now = 0; now <= 60_000 && asked.length === 0; now = ask(now)) asked.push(...wants())
    assert.deepEqual(asked, [{ kind: 'want', bundle: TABLE.sha256, index: 1 }])
  })

  it('O7: while nobody is known to hold what is missing, any neighbour is asked, ever more rarely', () => {
    const { ask, wants } = fetching()
    assert.equal(ask(0), DEFAULT_LIMITS.pieceTimeoutMs)
    assert.deepEqual(wants(), [])
    const asked: number[] = []
    for (let now = 0; now <= 600_000; now = ask(now)) if (wants().length > 0) asked.push(now)
    assert.ok(asked.length >= 5 && asked.length <= 15, `${asked.length} asks in ten minutes`)
    assert.ok(asked.at(-1)! - asked.at(-2)! > asked[1]! - asked[0]!)
  })

  it('O7: whoever has a piece that it did not announce is asked for the others', () => {
    const { pieces, outbox, ask, wants, piece } = fetching()
    ask(0)
    ask(10_000)
    const [first] = wants()
    assert.equal(first?.kind, 'want')
    const index = first?.kind === 'want' ? first.index : -1
    pieces.onPiece('peer0001', piece(index))
    assert.deepEqual(
      outbox.drain().map((effect) => effect.type),
      ['store-piece']
    )
    ask(10_001)
    assert.equal(wants().length, 2)
  })

  it('O7: a piece that comes after its time is kept, once', () => {
    const { pieces, outbox, ask, piece } = fetching()
    pieces.onHave('peer0001', { kind: 'have', bundle: TABLE.sha256, pieces: Uint8Array.of(0b111) })
    ask(0)
    ask(DEFAULT_LIMITS.pieceTimeoutMs)
    outbox.drain()
    pieces.onPiece('peer0001', piece(1))
    pieces.onPiece('peer0001', piece(1))
    assert.equal(outbox.drain().filter((effect) => effect.type === 'store-piece').length, 1)
    pieces.onStored({ type: 'piece-stored', bundle: TABLE.sha256, index: 1, from: 'peer0001', outcome: 'stored' }, 0)
    pieces.onPiece('peer0001', piece(1))
    pieces.onPiece('peer0001', piece(3))
    assert.deepEqual(outbox.drain(), [])
  })

  it('O7: an offer that comes before its entry is kept, however many bundles the log names; of strange ones sixteen', () => {
    const { pieces, ask, wants } = fetching()
    pieces.holdAll(TABLE.sha256)
    const have = (bundle: string) => pieces.onHave('peer0001', { kind: 'have', bundle, pieces: Uint8Array.of(0b111) })
    const named = (index: number) => ({ ...TABLE, sha256: index.toString(16).padStart(64, '0') })
    for (let index = 1; index <= 30; index++) {
      const table = named(index)
      have(table.sha256)
      pieces.want(table, index)
      pieces.arrange(table.sha256, index, true)
      ask(index)
      assert.deepEqual(
        wants().map((one) => one.kind === 'want' && one.bundle === table.sha256),
        [true, true, true],
        `bundle ${index}`
      )
      pieces.holdAll(table.sha256)
      wants()
    }
    for (let index = 31; index <= 60; index++) have(named(index).sha256)
    assert.equal(pieces.isHeldBy('peer0001', named(30).sha256), true)
    const known = Array.from({ length: 30 }, (_, index) => named(31 + index))
    for (const [index, table] of known.entries()) pieces.want(table, 31 + index)
    assert.equal(known.filter(({ sha256 }) => pieces.isHeldBy('peer0001', sha256)).length, 16)
  })

  it('O7, O12: who holds all of a bundle is told that it is held here only if it is to leave', () => {
    const { pieces, outbox } = fetching()
    const whole = { kind: 'have' as const, bundle: TABLE.sha256, pieces: new Uint8Array([0b111]) }
    for (const peer of ['peer0001', 'peer0002']) pieces.onHave(peer, whole)
    pieces.holdAll(TABLE.sha256)
    outbox.drain()
    pieces.announce(['peer0001', 'peer0002', 'peer0003'], (peer) => peer === 'peer0002')
    const told = outbox.drain().flatMap((effect) => (effect.type === 'send' ? [effect.to] : []))
    assert.deepEqual(told, ['peer0002', 'peer0003'])
  })
})
