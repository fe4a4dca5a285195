/** What every form of the store promises (SPEC D1 to D3); run on the real one and on the simulated one. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Store } from '../../../node/store/store.ts'
import type { Persist } from '../../../src/overlay/events.ts'

/** One data directory, real or simulated. */
export interface StoreFixture {
  open(): Store
  /** The machine stops here: what follows sees only what was durable. Leaves no store open. */
  crash(): void
  end(): void
}

const key = fc.integer({ min: 0, max: 12 }).map((n) => `record/${n}`)
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }).filter((json) => !JSON.stringify(json).includes('__proto__')),
  fc.uint8Array({ maxLength: 5000 }),
  fc.record({ format: fc.constant(1), counter: fc.maxSafeNat(), bytes: fc.uint8Array({ maxLength: 40 }) })
)
const change: fc.Arbitrary<Persist> = fc.record({
  put: fc.array(fc.tuple(key, value), { maxLength: 6 }),
  delete: fc.array(key, { maxLength: 4 })
})
const act = fc.oneof(
  { weight: 6, arbitrary: change.map((one) => ({ act: 'commit' as const, change: one })) },
  { weight: 1, arbitrary: fc.constant({ act: 'reopen' as const }) },
  { weight: 1, arbitrary: fc.constant({ act: 'crash' as const }) }
)

const apply = (model: Map<string, unknown>, { put, delete: keys }: Persist) => {
  for (const one of keys) model.delete(one)
  for (const [name, one] of put) model.set(name, one)
}

/** Through CBOR, -0 and views of bytes may come back as 0 and as arrays of their own; contents count. */
const shown = (map: Map<string, unknown>) =>
  Object.fromEntries(
    [...map]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, one]) => [
        name,
        JSON.stringify(one, (_, part) =>
          part instanceof Uint8Array ? `bytes ${Buffer.from(part).toString('hex')}` : part
        )
      ])
  )

export const storeContract = (form: string, fixture: () => StoreFixture): void => {
  describe(`the store's contract, ${form}`, () => {
    it('D1: is empty at first, and reads what was committed, deletions before puts', () => {
      const disk = fixture()
      const store = disk.open()
      assert.deepEqual(store.read(), new Map())
      store.commit({
        put: [
          ['a', 1],
          ['b', { text: 'x', bytes: new Uint8Array([1, 2]) }]
        ],
        delete: []
      })
      store.commit({
        put: [
          ['a', 2],
          ['c', null]
        ],
        delete: ['a', 'b', 'never']
      })
      assert.deepEqual(
        store.read(),
        new Map<string, unknown>([
          ['a', 2],
          ['c', null]
        ])
      )
      disk.end()
    })

    it('D1: any history of commits, reopenings and crashes keeps exactly what was committed', () => {
      const check = (acts: { act: string; change?: Persist }[]) => {
        const disk = fixture()
        try {
          let store = disk.open()
          const model = new Map<string, unknown>()
          for (const one of acts) {
            if (one.change !== undefined) {
              store.commit(one.change)
              apply(model, one.change)
              continue
            }
            if (one.act === 'crash') disk.crash()
            else store.close()
            store = disk.open()
            assert.deepEqual(shown(store.read()), shown(model))
          }
          assert.deepEqual(shown(store.read()), shown(model))
        } finally {
          disk.end()
        }
      }
      fc.assert(fc.property(fc.array(act, { maxLength: 25 }), check), { numRuns: 60 })
    })

    it('D1: a commit with a value that cannot be stored changes nothing and harms nothing', () => {
      const disk = fixture()
      const store = disk.open()
      store.commit({ put: [['a', 1]], delete: [] })
      assert.throws(
        () =>
          store.commit({
            put: [
              ['a', 2],
              ['b', () => 1]
            ],
            delete: []
          }),
        { name: 'Malformed' }
      )
      store.commit({ put: [['c', 3]], delete: [] })
      assert.deepEqual(
        store.read(),
        new Map([
          ['a', 1],
          ['c', 3]
        ])
      )
      disk.end()
    })

    it('D3: a second opening is refused until the first is closed', () => {
      const disk = fixture()
      const store = disk.open()
      assert.throws(() => disk.open(), { name: 'Locked' })
      store.commit({ put: [['a', 1]], delete: [] })
      assert.throws(() => disk.open(), { name: 'Locked' })
      store.close()
      store.close()
      assert.deepEqual(disk.open().read(), new Map([['a', 1]]))
      disk.end()
    })

    it('a closed store takes no commits', () => {
      const disk = fixture()
      const store = disk.open()
      store.close()
      assert.throws(() => store.commit({ put: [['a', 1]], delete: [] }))
      assert.deepEqual(disk.open().read(), new Map())
      disk.end()
    })
  })
}
