/**
 * KV → KV2 as clients see them: flat keys and last values; then namespaces, versions and compare-and-set.
 *
 * The check runs one node, which is a group of one. So this says nothing of what a group of several adds (SPEC K1 to K7,
 * K10, K18: majorities, members that are away, upgraded one at a time; the tests under test/examples/kv do), of retries
 * with the same id (K8), nor of time: a value may have a ttl, and none ends while a history runs (K15). What members say
 * to each other (prepare, accept, read, page) is no part of the types.
 */
import fc from 'fast-check'
import { alike, defineSpec, defineType, domain, fresh, type Kinds, oneOf } from '../../../src/spec/index.ts'

/** A key that has, or had, a value. */
interface Cell {
  readonly value: string | null
  /** Of the value that is there. */
  readonly stamp: string | null
  /** Of the value before: what a client may still believe. */
  readonly earlier: string | null
}
/** By key, or by namespace/key. */
type Cells = Readonly<Record<string, Cell>>
interface Query {
  readonly prefix?: string
  readonly after?: string
  readonly limit?: number
}

const key = alike('a', 'b')
const value = domain(['one'], fc.constantFrom('two', '', 'ü\n"'))
const namespace = oneOf('default', 'blue')
/** The version that a client expects: none, that of the value that is there, or that of an earlier one. */
const expected = oneOf<string | null>(null, 'current', 'earlier')
const options = domain<{ ttlMs?: number }>([{}], fc.constant({ ttlMs: 3_600_000 }))
const query = domain<Query>([{}], fc.constantFrom({ prefix: 'a' }, { prefix: 'c' }, { after: 'a' }, { limit: 1 }))

const isThere = (cells: Cells, name: string): boolean => (cells[name]?.value ?? null) !== null
const stampOf = (cells: Cells, name: string): string | null => cells[name]?.stamp ?? null
const earlierOf = (cells: Cells, name: string): string | null => stampOf(cells, name) ?? cells[name]?.earlier ?? null

const withValue = (cells: Cells, name: string, value: string): Cells => ({
  ...cells,
  [name]: { value, stamp: fresh(), earlier: earlierOf(cells, name) }
})
const without = (cells: Cells, name: string): Cells =>
  isThere(cells, name) ? { ...cells, [name]: { value: null, stamp: null, earlier: earlierOf(cells, name) } } : cells

const listed = (cells: Cells, prefix: string, query: Query): string[] =>
  Object.keys(cells)
    .filter((name) => isThere(cells, name) && name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .filter((key) => key.startsWith(query.prefix ?? '') && (query.after === undefined || key > query.after))
    .sort()
    .slice(0, query.limit)

const KV = defineType({
  initial: {} as Cells,
  methods: ({ observer, mutator }: Kinds<Cells>) => ({
    get: observer([key], (cells, key) => cells[key]?.value ?? null),
    keys: observer([query], (cells, query) => listed(cells, '', query)),
    put: mutator([key, value], withValue),
    delete: mutator([key], without, isThere)
  })
})

const cell = (namespace: string, key: string): string => `${namespace}/${key}`

/** What it expects, in the text of a version; `earlier` is no version at all if there was no earlier value. */
const versionOf = (cells: Cells, name: string, expected: string | null): string | null => {
  if (expected === 'current') return stampOf(cells, name)
  return expected === 'earlier' ? (cells[name]?.earlier ?? 'no version') : expected
}
const versioned = (cells: Cells, name: string): { value: string; version: string } | null =>
  isThere(cells, name) ? { value: cells[name]!.value!, version: cells[name]!.stamp! } : null

const KV2 = defineType({
  initial: {} as Cells,
  methods: ({ observer, mutator }: Kinds<Cells>) => ({
    get: observer([namespace, key], (cells, space, key) => versioned(cells, cell(space, key))),
    list: observer([namespace, query], (cells, space, query) =>
      listed(cells, `${space}/`, query).map((key) => ({ key, version: cells[cell(space, key)]!.stamp! }))
    ),
    compareAndSet: mutator(
      [namespace, key, expected, value, options],
      (cells, space, key, expected, value) =>
        stampOf(cells, cell(space, key)) === expected ? withValue(cells, cell(space, key), value) : cells,
      (cells, space, key, expected) =>
        stampOf(cells, cell(space, key)) === expected
          ? { ok: true, version: fresh() }
          : { ok: false, current: versioned(cells, cell(space, key)) },
      (cells, space, key, expected, ...rest) => [space, key, versionOf(cells, cell(space, key), expected), ...rest]
    ),
    remove: mutator(
      [namespace, key],
      (cells, space, key) => without(cells, cell(space, key)),
      (cells, space, key) => isThere(cells, cell(space, key))
    )
  })
})

const FLAT = 'default/'
const flat = (cells: Cells): Cells =>
  Object.fromEntries(
    Object.entries(cells).flatMap(([name, one]) => (name.startsWith(FLAT) ? [[name.slice(FLAT.length), one]] : []))
  )

export default defineSpec({
  old: KV,
  new: KV2,
  opaque: /^\d{15}\.\d{6}\..+$/,
  // Flat keys are the keys of the default namespace, stamps included: a version is the same at either version (K13).
  invariant: (kv, kv2) => {
    const [left, right] = [kv, flat(kv2)].map((cells) => JSON.stringify(Object.entries(cells).sort()))
    return left === right
  },
  mapping: (kv) => Object.fromEntries(Object.entries(kv).map(([key, one]) => [FLAT + key, one])),
  shadows: {
    old: {
      compareAndSet: (kv, space, key, expected, value) =>
        space === 'default' && stampOf(kv, key) === expected ? withValue(kv, key, value) : kv,
      remove: (kv, space, key) => (space === 'default' ? without(kv, key) : kv)
    },
    new: {
      put: (kv2, key, value) => withValue(kv2, FLAT + key, value),
      delete: (kv2, key) => without(kv2, FLAT + key)
    }
  }
})
