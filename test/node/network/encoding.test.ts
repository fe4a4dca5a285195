import assert from 'node:assert/strict'
import { Encoder } from 'cbor-x'
import fc from 'fast-check'
import { check, decode, encode, MAX_DEPTH, MAX_OBJECTS } from '../../../node/network/cbor.ts'
import { FrameReader, frame, frameOf } from '../../../node/network/frames.ts'
import { messageOf } from '../../../node/network/link.ts'

const malformed = { name: 'Malformed' }

const key = fc.string().filter((name) => name !== '__proto__')
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.constant(undefined),
    fc.boolean(),
    fc.integer(),
    fc.double().filter((number) => !Object.is(number, -0)),
    fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array(),
    fc.date({ noInvalidDate: true, min: new Date('1900-01-01'), max: new Date('2200-01-01') }),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(key, tie('value'), { maxKeys: 6, noNullPrototype: true })
  )
}))

/** Byte strings may come back as Buffers: compared by content. */
function plain(one: unknown): unknown {
  if (one instanceof Uint8Array) return { bytes: [...one] }
  if (one instanceof Date) return { date: one.getTime() }
  if (Array.isArray(one)) return one.map(plain)
  if (one !== null && typeof one === 'object') {
    return Object.fromEntries(Object.entries(one).map(([name, inner]) => [name, plain(inner)]))
  }
  return one
}

describe('network: encodings', () => {
  it('N3: every plain value comes back as it was', () => {
    fc.assert(
      fc.property(value, (one) => {
        assert.deepEqual(plain(decode(encode(one))), plain(one))
      }),
      { numRuns: 500 }
    )
  })

  it('N3: any bytes either decode or are refused as Malformed, and nothing else happens', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decode(bytes)
        } catch (error) {
          assert.equal((error as Error).name, 'Malformed')
        }
      }),
      { numRuns: 3000 }
    )
  })

  it('N3: a mutated value never reaches a prototype', () => {
    const hostile = new Encoder({ useRecords: false, variableMapSize: true })
    const bytes = hostile.encode(new Map([['__proto__', { polluted: true }]]))
    assert.throws(() => decode(bytes), malformed)
    assert.equal(({} as { polluted?: boolean }).polluted, undefined)
  })

  it('N3: extensions of the encoder, cycles, classes and indefinite lengths are refused', () => {
    const everything = new Encoder({ structuredClone: true })
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    for (const one of [cycle, new Map([[1, 2]]), new Set([1]), /x/, new Error('x'), new Float64Array(2)]) {
      assert.throws(() => check(everything.encode(one)), malformed)
    }
    assert.throws(() => check(Uint8Array.from([0x9f, 0x01, 0xff])), malformed, 'indefinite array')
    assert.throws(() => check(Uint8Array.from([0xbf, 0xff])), malformed, 'indefinite map')
    assert.throws(() => check(Uint8Array.from([0x9b, 0, 0, 0, 1, 0, 0, 0, 0])), malformed, 'a count beyond the bytes')
    assert.throws(() => check(Uint8Array.from([0x00, 0x00])), malformed, 'bytes after the end')
  })

  it('N3: what is no plain value is refused before it is sent', () => {
    for (const one of [new Map([[1, 2]]), new Set([1]), Symbol('x'), /x/])
      assert.throws(() => encode({ one }), malformed)
    let deep: unknown = 1
    for (let depth = 0; depth <= MAX_DEPTH; depth++) deep = [deep]
    assert.throws(() => encode(deep), malformed)
    assert.throws(() => decode(new Uint8Array(100_000).fill(0x81)), malformed)
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    assert.throws(() => encode(cycle), malformed)
  })

  it('N6: bytes where a list of addresses should be are refused as Malformed, like all that is no message', () => {
    const contact = {
      peer: '12D3KooWBRFW3HkJCLKSWb4yG6iWRBpgNjbM4FFvNsL5T5JKTqrd',
      addresses: new Uint8Array(9),
      ageMs: 1
    }
    assert.throws(() => messageOf(encode({ kind: 'shuffle', contacts: [contact], answer: true })), {
      name: 'Malformed'
    })
  })

  it('N4: frames come out as they went in, however the stream is cut', () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 })
    fc.assert(
      fc.property(
        payloads,
        fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 50 }),
        (frames, cuts) => {
          const stream = Buffer.concat(frames.map((payload) => frame(payload, 300)))
          const reader = new FrameReader(300)
          const seen: number[][] = []
          for (let at = 0, turn = 0; at < stream.byteLength; turn++) {
            const size = cuts[turn % cuts.length]!
            for (const payload of reader.read(stream.subarray(at, at + size))) seen.push([...payload])
            at += size
          }
          assert.deepEqual(
            seen,
            frames.map((payload) => [...payload])
          )
          assert.equal(reader.held, 0)
        }
      )
    )
  })

  it('N3: a value of very many small objects is refused before they are made', () => {
    const many = (count: number) => encode(new Uint8Array(count)).subarray(0, 5)
    const array = (count: number, item: number) => {
      const bytes = new Uint8Array(5 + count).fill(item)
      bytes.set(many(count))
      bytes[0] = 0x9a
      return bytes
    }
    assert.equal((decode(array(MAX_OBJECTS + 1, 0x01)) as unknown[]).length, MAX_OBJECTS + 1)
    assert.equal((decode(array(MAX_OBJECTS - 1, 0x80)) as unknown[]).length, MAX_OBJECTS - 1)
    for (const item of [0x80, 0xa0]) assert.throws(() => decode(array(MAX_OBJECTS, item)), { name: 'Malformed' })
  })

  it('N4: a large frame that comes byte by byte is the same frame', () => {
    const reader = new FrameReader(200_000)
    const payload = Uint8Array.from({ length: 200_000 }, (_, index) => index % 251)
    const found = [...frame(payload, 200_000)].flatMap((byte) => [...reader.read(Uint8Array.of(byte))])
    assert.equal(found.length, 1)
    assert.ok(Buffer.from(payload).equals(found[0]!))
    assert.equal(reader.held, 0)
  })

  it('N4: an oversize frame is refused at its prefix, and before it is sent', () => {
    const reader = new FrameReader(1000)
    assert.throws(() => [...reader.read(Uint8Array.from([0xff, 0xff, 0xff, 0xff]))], { name: 'Oversize' })
    assert.throws(() => frameOf(new Uint8Array(2000), 1000), { name: 'Oversize' })
    const slow = new FrameReader(1000)
    assert.throws(() => [0, 0, 0x10, 0].forEach((byte) => void [...slow.read(Uint8Array.from([byte]))]), {
      name: 'Oversize'
    })
  })
})
