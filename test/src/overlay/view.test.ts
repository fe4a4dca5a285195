import assert from 'node:assert/strict'
import { type PeerRecord, signedRecord } from '../../../src/overlay/record.ts'
import { View } from '../../../src/overlay/view.ts'
import { Generator } from '../../../src/prng.ts'

const record = (peer: string, counter = 1, group: string | null = null): PeerRecord => ({
  format: 1,
  peer,
  incarnation: 1,
  counter,
  head: { version: 0, hash: '0'.repeat(64) },
  group,
  labels: {},
  addresses: [],
  objects: {},
  permit: null
})

const hash53 = (text: string) => [...text].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) % 2 ** 40
const signed = (one: PeerRecord) => signedRecord(one, new Uint8Array(), hash53)

function viewOf(...records: PeerRecord[]): View {
  const view = new View({
    group: 'own',
    self: 'peer-self',
    limits: { view: 16, strangers: 16 },
    hash53,
    isKept: ({ group }) => group === 'own',
    pins: [],
    lost: () => undefined
  })
  records.forEach((one, index) => {
    view.put(signed(one), 1000 * (index + 1))
  })
  return view
}

describe('view (SPEC O3, O11)', () => {
  it('O11: the peer silent for longest is named; never oneself, nor the own group', () => {
    const view = viewOf(record('peer-self'), record('peer-own', 1, 'own'), record('peer-a'), record('peer-b'))
    assert.equal(view.mostSilent(3000), undefined)
    assert.equal(view.mostSilent(10_000), 'peer-a')
    view.heard('peer-a', 5000)
    view.heard('peer-b', 100)
    assert.equal(view.mostSilent(10_000), 'peer-b')
    view.put(signed(record('peer-b', 2)), 20_000)
    assert.equal(view.mostSilent(10_000), 'peer-a')
  })

  it('O11: a dropped record does not come back, a newer one does', () => {
    const view = viewOf(record('peer-a', 3), record('peer-b'))
    const before = viewOf(record('peer-b')).digest
    view.drop('peer-a')
    assert.equal(view.get('peer-a'), undefined)
    assert.equal(view.digest, before)
    const again = (counter: number) => view.put(signed(record('peer-a', counter)), 0)
    assert.equal(view.lacks([['peer-a', 1, 3]]), false)
    assert.equal(again(3), false)
    assert.equal(again(2), false)
    assert.equal(view.lacks([['peer-a', 1, 4]]), true)
    assert.equal(again(4), true)
    assert.equal(view.get('peer-a')?.counter, 4)
  })

  it('O12: the last record of a peer that left is for those who knew it, and for its group whether they did or not', () => {
    const left = (peer: string, group: string | null) => ({ ...record(peer, 2, group), left: true as const })
    const put = (view: View, one: PeerRecord) => view.put(signed(one), 0)
    const view = viewOf(record('peer-a'), record('peer-own', 1, 'own'))
    assert.equal(put(viewOf(), left('peer-a', null)), false)
    assert.equal(put(viewOf(), left('peer-own', 'own')), true)
    assert.ok(put(view, left('peer-a', null)) && put(view, left('peer-own', 'own')))
    const offered = (vector: [string, number, number][]) =>
      view.newerThan(vector, 16, new Generator(1)).map((one) => one.record.peer)
    assert.deepEqual(offered([]), ['peer-own'])
    assert.deepEqual(
      [...view.forFellows()].map((one) => one.record.peer),
      ['peer-own']
    )
    assert.deepEqual(offered([['peer-a', 1, 1]]).sort(), ['peer-a', 'peer-own'])
  })
})
