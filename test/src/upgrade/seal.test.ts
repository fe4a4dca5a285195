import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Refusal } from '../../../src/errors.ts'
import { MAX_GROUP_MEMBERS } from '../../../src/names.ts'
import { boundedObjects, MAX_RECORD_BYTES, type PeerRecord } from '../../../src/overlay/record.ts'
import { peerIdOf, publicKeyOfPeer } from '../../../src/upgrade/keys.ts'
import { MAX_CLASSES } from '../../../src/upgrade/manifest.ts'
import { authority, hash53, recordOpener } from '../../../src/upgrade/seal.ts'
import { testFleet } from './fleet.ts'

const { trust } = testFleet()
const one = authority(trust, new Uint8Array(32).fill(1))
const two = authority(trust, new Uint8Array(32).fill(2))

function recordOf(peer: string): PeerRecord {
  return {
    format: 1,
    peer,
    incarnation: 1,
    counter: 2,
    head: { version: 0, hash: trust.fleet },
    group: 'g1',
    labels: { zone: 'a' },
    addresses: ['/ip4/127.0.0.1/tcp/1'],
    objects: {},
    permit: null
  }
}

describe('sealed records', () => {
  it('T11: what a peer seals, others open; the key is in the id', () => {
    assert.match(one.peer, /^12D3KooW/)
    assert.equal(peerIdOf(publicKeyOfPeer(one.peer)), one.peer)
    const bytes = one.sealRecord(recordOf(one.peer))
    assert.deepEqual(two.openRecord(bytes).record, recordOf(one.peer))
    assert.equal(two.openRecord(bytes), two.openRecord(bytes))
  })

  it('T11: a peer cannot speak for another', () => {
    assert.throws(() => one.sealRecord(recordOf(two.peer)), { name: 'Error' })
    const bytes = one.sealRecord(recordOf(one.peer))
    const text = new TextDecoder('latin1').decode(bytes).replace(one.peer, two.peer)
    const forged = Uint8Array.from(text, (letter) => letter.charCodeAt(0))
    forged.set(bytes.subarray(0, 64))
    assert.throws(() => recordOpener()(forged), { name: 'WrongSignature' })
  })

  it('T11: oversize, short and foreign bytes are refused', () => {
    assert.throws(() => one.openRecord(new Uint8Array(MAX_RECORD_BYTES + 1)), { name: 'Oversize' })
    assert.throws(() => one.openRecord(new Uint8Array(64)), { name: 'Malformed' })
    const record = recordOf(one.peer)
    for (const peer of ['QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG', '0OIl0OIl']) {
      const bytes = new Uint8Array(64 + 4096)
      const body = new TextEncoder().encode(JSON.stringify({ ...record, peer }))
      bytes.set(body, 64)
      assert.throws(() => one.openRecord(bytes.subarray(0, 64 + body.length)), { name: 'Malformed' })
    }
  })

  it('O3: the fullest record can be sealed, and is opened by others', () => {
    const failed = Array.from({ length: 12 }, (_, i) => ({ version: i + 2, reason: '\u001b[31m火'.repeat(100) }))
    const object = {
      version: 1,
      entry: 'e'.repeat(16),
      lowest: 1,
      highest: 1_000_000,
      phase: 'transforming' as const,
      target: 1_000_000,
      serving: true,
      reason: '\u0000'.repeat(300),
      failed
    }
    const names = Array.from({ length: MAX_CLASSES }, (_, i) => `C${String(i).padStart(40, 'x')}`)
    const objects = boundedObjects(Object.fromEntries(names.map((name) => [name, object])))
    const grant = { holder: one.peer, attempt: 1_000_000, roster: 1_000_000, unavailable: 64, own: false }
    const permit = {
      ...{ group: 'g1', adopted: 1, active: 1, asking: 1, askedUnder: 1, unavailable: 1, holding: false, released: 1 },
      grants: Array.from({ length: 4 * MAX_GROUP_MEMBERS }, () => grant)
    }
    const record = { ...recordOf(one.peer), objects, permit }
    const opened = two.openRecord(one.sealRecord(record)).record
    assert.deepEqual(opened, record)
    assert.equal(opened.objects[names[0]!]?.failed.at(-1)?.version, 13)
    assert.equal(boundedObjects({ A: { ...object, reason: 'it waits' } }).A?.reason, 'it waits')
  })

  it('T11: any flipped bit is refused', () => {
    const bytes = one.sealRecord(recordOf(one.peer))
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const flipped = bytes.slice()
        flipped[at]! ^= 1 << bit
        assert.throws(() => two.openRecord(flipped), Refusal)
      })
    )
  })

  it('hash53 is exact, and spread over 53 bits', () => {
    // sha-256 of "" begins e3b0c44298fc1c: its first 53 bits.
    assert.equal(hash53(''), Number(0xe3b0c44298fc1cn >> 3n))
    fc.assert(fc.property(fc.string(), (text) => Number.isSafeInteger(hash53(text)) && hash53(text) >= 0))
  })
})
