import assert from 'node:assert/strict'
import { ColorSet, IntSet } from '../../../examples/sets/models.ts'
import spec from '../../../examples/sets/v2/spec.ts'
import { alike, defineSpec, defineType, undetermined } from '../../../src/spec/index.ts'
import { undecided } from '../../../src/spec/knowledge.ts'
import { breaches } from '../../../src/spec/laws.ts'
import { keyOf } from '../../../src/spec/plain.ts'
import type { Specification } from '../../../src/spec/specification.ts'

const laws = (changed: Partial<Specification>) => breaches({ ...spec, ...changed }).map((one) => one.law)

describe('a specification by itself (SPEC Q1 to Q4)', () => {
  it('Q1: a shadow that is missing does not compile, and is refused by name', () => {
    const define = () =>
      defineSpec({
        old: IntSet,
        new: ColorSet,
        invariant: () => true,
        mapping: () => ({}),
        // @ts-expect-error delete lacks its shadow
        shadows: { old: { insertColor: (set) => set }, new: { insert: (set) => set, delete: (set) => set } }
      })
    assert.throws(define, { name: 'Malformed', message: /shadows\.old lacks delete, a mutator of the new type/ })
  })

  it('Q3: that of the sets holds', () => assert.deepEqual(breaches(spec), []))

  it('Q3: I that does not hold, MF that breaks it or disagrees with a shadow', () => {
    assert.ok(laws({ invariant: (set, colors) => set.length >= 2 * Object.keys(colors).length }).includes('invariant'))
    assert.ok(laws({ mapping: () => ({}) }).includes('mapping'))
    const red = (set: number[]) => Object.fromEntries(set.map((x) => [x, 'red']))
    assert.deepEqual(laws({ mapping: red }), ['mapping'])
    assert.match(breaches({ ...spec, mapping: red })[0]!.text, /MF and the shadow of insert disagree/)
  })

  it('Q3: a shadow that breaks I, or is no effect of its type', () => {
    const shadows = (insert: (colors: any, x: number) => any) => ({
      ...spec.shadows,
      new: { ...spec.shadows.new, insert }
    })
    assert.ok(laws({ shadows: shadows((colors) => colors) }).includes('shadow'))
    const odd = breaches({ ...spec, shadows: shadows((colors, x) => ({ ...colors, [x]: 'green' })) })
    assert.ok(odd.some((one) => one.law === 'shadow' && /no effect of the other type/.test(one.text)))
  })

  it('Q3: one shadow that breaks I is told once, and nothing that only follows from it', () => {
    const kept = { ...spec.shadows, old: { ...spec.shadows.old, delete: (set: number[]) => set } }
    const found = breaches({ ...spec, shadows: kept }).filter((one) => one.law === 'shadow')
    assert.equal(found.length, 1, found.map((one) => one.text).join('\n'))
    assert.match(found[0]!.text, /^delete\(1\) and its shadow break I/)
  })

  it('Q3: an answer from an undetermined state must be disallowed', () => {
    const file = alike('f')
    type Modes = Record<string, number | typeof undetermined>
    const without = (modes: Modes, f: string): Modes => ({ ...modes, [f]: undetermined })
    const bits = defineType({
      initial: {} as Modes,
      methods: ({ observer, mutator }) => ({
        set: mutator([file], (modes, f) => ({ ...modes, [f]: 1 })),
        get: observer([file], (modes, f) => (modes[f] ?? 0) as number)
      })
    })
    const lists = defineType({
      initial: {} as Record<string, string>,
      methods: ({ mutator, observer }) => ({
        enrich: mutator([file], (acls, f) => ({ ...acls, [f]: 'rich' })),
        read: observer([file], (acls, f) => acls[f] ?? 'plain')
      })
    })
    const define = (before: object) =>
      defineSpec({
        old: bits,
        new: lists,
        invariant: () => true,
        mapping: () => ({}),
        shadows: {
          old: { enrich: (modes, f) => without(modes, f) },
          new: { set: (acls) => acls }
        },
        disallows: { before, after: { get: (_modes, acls, f) => acls[f] === 'rich' } }
      })
    assert.deepEqual(
      breaches(define({ enrich: () => true })).map((one) => one.law),
      []
    )
    assert.match(
      breaches(define({}))[0]!.text,
      /get is answered from an undetermined state: get\("f"\).*disallow it there .before/
    )
  })

  it('Q4: a direct SO cannot know colours, an interceptor of deletions and insertions can', () => {
    const direct = undecided(spec, { before: [], after: [] })
    assert.deepEqual(direct.map((one) => one.method).sort(), ['getColor', 'transform'])
    // What is told speaks of the first of alike values, as violations do.
    assert.ok(direct.every(({ text }) => text.includes('1') && !text.includes('2')))
    assert.deepEqual(undecided(spec, { before: ['insert', 'delete'], after: [] }), [])
    assert.deepEqual(undecided(spec, { before: ['delete'], after: [] }), [])
  })

  it('plain values are told apart by what they hold', () => {
    assert.equal(keyOf({ a: 1, b: undefined }), keyOf({ a: 1 }))
    assert.equal(keyOf(new Set([2, 1])), keyOf(new Set([1, 2])))
    assert.equal(keyOf(new Map([['a', { x: 1 }]])), keyOf(new Map([['a', { x: 1 }]])))
    assert.notEqual(keyOf([1, 2]), keyOf([2, 1]))
    assert.notEqual(keyOf('1'), keyOf(1))
    assert.notEqual(keyOf(1n), keyOf(1))
  })
})
