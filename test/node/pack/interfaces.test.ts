import assert from 'node:assert/strict'
import { broken, checkClass, readStatics } from '../../../node/pack/interfaces.ts'
import type { ClassDefinition } from '../../../src/upgrade/define.ts'
import type { Interface, Simulation } from '../../../src/upgrade/manifest.ts'

const typeOf = (methods: Record<string, 'observer' | 'mutator'>): Interface => ({
  methods: Object.fromEntries(Object.entries(methods).map(([name, kind]) => [name, { kind }])),
  calls: {}
})
const OLD = typeOf({ insert: 'mutator', contains: 'observer' })
const NEW = typeOf({ insertColor: 'mutator', contains: 'observer' })
const so = (found: Interface, intercepts: string[] = []): Simulation => ({
  module: 'so.js',
  interface: found,
  intercepts
})

const definition: ClassDefinition = {
  from: 'IntSet',
  to: 'ColorSet',
  object: './color-set.ts',
  transform: './transform.ts',
  ways: [],
  future: './future.ts',
  past: './past.ts',
  schedule: { when: { kind: 'immediately' }, constraints: [] },
  simulate: null,
  needs: null,
  access: null,
  spec: null
}
const before = { interface: OLD, future: null, past: null }
const good = { before, object: NEW, future: so(NEW, ['insert']), past: so(OLD, ['insertColor']) }
const malformed = { name: 'Malformed' }

describe('interfaces', () => {
  it('U10: statics are short or long, and name methods that are there', () => {
    const implemented = ['a', 'b']
    const statics = {
      methods: { a: 'observer', b: { kind: 'mutator', idempotent: true } },
      calls: undefined,
      intercepts: undefined,
      implemented
    }
    assert.deepEqual(readStatics('x.ts', statics), {
      interface: { methods: { a: { kind: 'observer' }, b: { kind: 'mutator', idempotent: true } }, calls: {} },
      intercepts: []
    })
    for (const change of [
      { methods: undefined },
      { methods: { a: 'maybe' } },
      { methods: { c: 'observer' } },
      { methods: { constructor: 'observer' }, implemented: ['constructor'] },
      { methods: { a: { kind: 'observer', fast: true } } },
      { methods: JSON.parse('{"a":"observer","then":"mutator"}'), implemented: ['a', 'then'] },
      { calls: { KV: 0 } },
      { calls: { KV: '1' } },
      { intercepts: 'insert' },
      { intercepts: ['no name'] }
    ]) {
      assert.throws(() => readStatics('x.ts', { ...statics, ...change }), malformed, JSON.stringify(change))
    }
  })

  it('U10: what callers of the old type would miss', () => {
    assert.deepEqual(broken(OLD, NEW), ['insert is gone'])
    assert.deepEqual(broken(OLD, typeOf({ insert: 'observer', contains: 'observer' })), ['insert became an observer'])
    assert.deepEqual(broken(OLD, typeOf({ insert: 'mutator', contains: 'observer', more: 'mutator' })), [])
  })

  it('U10: an SO has every method of its version and intercepts mutators of its delegate', () => {
    assert.deepEqual(checkClass(definition, 2, good), [])
    const own = so(typeOf({ insert: 'mutator', contains: 'observer', ofItsOwn: 'mutator' }))
    assert.deepEqual(checkClass(definition, 2, { ...good, past: own }), [])
    for (const change of [
      { past: so(typeOf({ insert: 'mutator' })) },
      { past: so(typeOf({ insert: 'observer', contains: 'observer' })) },
      { past: so(OLD, ['contains']) },
      { past: so(OLD, ['insert']) },
      { past: 'subtype' as const },
      { past: null },
      { future: so(OLD) },
      { future: so(NEW, ['insertColor']) },
      { object: { ...NEW, calls: { Audit: 3 } } },
      { future: so({ ...NEW, calls: { Audit: 3 } }) }
    ]) {
      assert.throws(() => checkClass(definition, 2, { ...good, ...change }), malformed, JSON.stringify(change))
    }
  })

  it('G3: stateless is a claim of SOs, and of none that intercepts for its mutators', () => {
    const stateless = (found: Interface, name: string): Interface => ({
      ...found,
      methods: { ...found.methods, [name]: { ...found.methods[name]!, stateless: true } }
    })
    const fit = { past: so(stateless(OLD, 'insert')), future: so(stateless(NEW, 'contains'), ['insert']) }
    assert.deepEqual(checkClass(definition, 2, { ...good, ...fit }), [])
    for (const change of [
      { past: so(stateless(OLD, 'insert'), ['insertColor']) },
      { future: so(stateless(NEW, 'insertColor'), ['insert']) },
      { object: stateless(NEW, 'contains') }
    ]) {
      assert.throws(() => checkClass(definition, 2, { ...good, ...change }), malformed, JSON.stringify(change))
    }
  })

  it('U10: a subtype needs no past SO; a new class has nothing to break; the rest is said', () => {
    const wider = typeOf({ insert: 'mutator', contains: 'observer', size: 'observer' })
    assert.deepEqual(checkClass(definition, 2, { before, object: wider, future: so(wider), past: 'subtype' }), [])
    assert.equal(
      checkClass({ ...definition, transform: null }, 2, { before, object: wider, future: null, past: null }).length,
      3
    )
    assert.deepEqual(
      checkClass({ ...definition, from: null }, 2, { before: null, object: NEW, future: null, past: null }),
      []
    )
  })

  it('V14: what stacks must be told what passes below', () => {
    const older = { ...before, past: { ...so(OLD), intercepts: ['insert'] } }
    assert.throws(() => checkClass(definition, 2, { ...good, before: older }), {
      name: 'Malformed',
      message: /intercepts insert; give it a method "effects"/
    })
    const telling = { ...so(OLD, ['insertColor']), effects: true }
    assert.deepEqual(checkClass(definition, 2, { ...good, before: older, past: telling }), [])
    const silent = { ...before, future: so(OLD) }
    const [warning] = checkClass(definition, 2, { ...good, before: silent })
    assert.match(warning!, /emits no effects: nodes that are two versions behind/)
  })
})
