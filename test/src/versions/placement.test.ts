import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { ServedRange } from '../../../src/errors.ts'
import type { ClassUpgrade, Entry, Interface, MethodDeclaration, Simulation } from '../../../src/upgrade/manifest.ts'
import type { LineageVersion } from '../../../src/upgrade/schema.ts'
import { checkPlacement, mayBePlaced, place } from '../../../src/versions/placement.ts'

const TYPE: Interface = { methods: { m: { kind: 'mutator' }, other: { kind: 'observer' } }, calls: {} }

type Step = 'none' | 'stateless' | 'stateful' | 'subtype'
const simulation = (step: Step): Simulation | 'subtype' | null => {
  if (step === 'none') return null
  if (step === 'subtype') return step
  const m: MethodDeclaration = step === 'stateless' ? { kind: 'mutator', stateless: true } : { kind: 'mutator' }
  return { module: 'so.js', interface: { ...TYPE, methods: { ...TYPE.methods, m } }, intercepts: [] }
}

/** Versions of one object; `past` of a step simulates the version before it. */
const lineage = (steps: { version: number; future: Step; past: Step }[]): LineageVersion[] =>
  steps.map(({ version, future, past }) => ({
    version,
    className: `C${version}`,
    upgrade: { interface: TYPE, future: simulation(future), past: simulation(past) } as ClassUpgrade,
    entry: { hash: `entry-${version}` } as Entry
  }))
const all = (step: Step, versions: number[]) =>
  lineage(versions.map((version) => ({ version, future: step, past: step })))
const anywhere = () => true

describe('placement of SOs (SPEC G1, G2)', () => {
  it('G1: what the callee serves runs there', () => {
    for (const version of [2, 3])
      assert.deepEqual(place(all('stateless', [1, 2, 3]), { version, method: 'm' }, [2, 3], anywhere), {
        where: 'callee'
      })
  })

  it('G1: up from the highest version served, future SOs, each brought by its own entry', () => {
    const placed = place(all('stateless', [1, 2, 5]), { version: 5, method: 'm' }, [1, 1], anywhere)
    assert.ok(placed.where === 'caller')
    assert.equal(placed.delegate.className, 'C1')
    assert.deepEqual(
      placed.links.map(({ version, className, role, entry }) => [version, className, role, entry.hash]),
      [
        [2, 'C2', 'future', 'entry-2'],
        [5, 'C5', 'future', 'entry-5']
      ]
    )
  })

  it('G1: down from the lowest version served, past SOs, each brought by the entry after it', () => {
    const placed = place(all('stateless', [1, 2, 5]), { version: 1, method: 'm' }, [5, 7], anywhere)
    assert.ok(placed.where === 'caller')
    assert.equal(placed.delegate.className, 'C5')
    assert.deepEqual(
      placed.links.map(({ version, className, role, entry }) => [version, className, role, entry.hash]),
      [
        [2, 'C2', 'past', 'entry-5'],
        [1, 'C1', 'past', 'entry-2']
      ]
    )
  })

  it('G2: not a method that is not stateless, nor over a missing SO, nor a retired one, nor an unknown version', () => {
    const called = { version: 3, method: 'm' }
    const versions = all('stateless', [1, 2, 3])
    const reasonOf = (...placing: Parameters<typeof place>) => {
      const placed = place(...placing)
      return placed.where === 'nowhere' ? placed.reason : placed.where
    }
    assert.match(reasonOf(all('stateful', [1, 2, 3]), called, [1, 1], anywhere), /not stateless/)
    assert.match(reasonOf(versions, { ...called, method: 'other' }, [1, 1], anywhere), /not stateless/)
    assert.match(reasonOf(versions, { ...called, method: 'toString' }, [1, 1], anywhere), /not stateless/)
    assert.match(reasonOf(versions.with(1, all('none', [2])[0]!), called, [1, 1], anywhere), /version 2 has no future/)
    const mayHost = (version: number) => version !== 2
    assert.match(reasonOf(versions, { version: 1, method: 'm' }, [3, 3], mayHost), /version 2 is retired/)
    assert.equal(reasonOf(versions, called, [1, 1], mayHost), 'caller')
    assert.match(reasonOf(versions, called, [4, 9], anywhere), /version 4 is not known/)
    assert.match(reasonOf(versions, { ...called, version: 7 }, [1, 1], anywhere), /version 7 is not known/)
  })

  it('G2: a subtype passes everything on, an SO between only what it is asked by the SO above', () => {
    const [one, two, three] = lineage([
      { version: 1, future: 'none', past: 'none' },
      { version: 2, future: 'stateful', past: 'subtype' },
      { version: 3, future: 'stateless', past: 'stateful' }
    ])
    const versions = [one!, two!, three!]
    assert.equal(place(versions, { version: 3, method: 'm' }, [1, 1], anywhere).where, 'caller')
    assert.equal(place(versions, { version: 1, method: 'other' }, [3, 3], anywhere).where, 'caller')
    assert.equal(place(versions, { version: 2, method: 'm' }, [3, 3], anywhere).where, 'nowhere')
  })

  it('G1, G2: over all lineages and ranges: in the callee exactly if served, else an unbroken run from its edge, or nowhere', () => {
    const step = fc.constantFrom<Step>('none', 'stateless', 'stateful', 'subtype')
    const future = fc.constantFrom<Step>('none', 'stateless', 'stateful')
    const steps = fc.array(fc.record({ gap: fc.integer({ min: 1, max: 3 }), future, past: step }), {
      minLength: 1,
      maxLength: 6
    })
    const picks = fc.tuple(fc.nat(5), fc.nat(5), fc.nat(5), fc.nat(20))
    fc.assert(
      fc.property(steps, picks, (made, [a, b, c, retired]) => {
        const numbers = made.map((_, index) => made.slice(0, index + 1).reduce((sum, { gap }) => sum + gap, 0))
        const versions = lineage(made.map((one, index) => ({ ...one, version: numbers[index]! })))
        const at = (index: number) => versions[index % versions.length]!.version
        const serves: ServedRange = [Math.min(at(a), at(b)), Math.max(at(a), at(b))]
        const called = { version: at(c), method: 'm' }
        const placed = place(versions, called, serves, (one) => one !== retired)
        const served = serves[0] <= called.version && called.version <= serves[1]
        assert.equal(placed.where === 'callee', served)
        if (served) return
        const [delegate, role] =
          called.version > serves[1] ? ([serves[1], 'future'] as const) : ([serves[0], 'past'] as const)
        const between = versions
          .map((one) => one.version)
          .filter((one) => (one - delegate) * (one - called.version) <= 0 && one !== delegate)
        const run = role === 'future' ? between : between.reverse()
        const sos = run.map((one) => {
          const index = versions.findIndex((known) => known.version === one)
          return role === 'future' ? versions[index]!.upgrade.future : versions[index + 1]!.upgrade.past
        })
        const top = sos.at(-1)
        const claimed = top === 'subtype' || (top !== null && top!.interface.methods['m']!.stateless === true)
        const legal = sos.every((so) => so !== null) && claimed && !(role === 'past' && run.includes(retired))
        assert.equal(placed.where, legal ? 'caller' : 'nowhere')
        if (placed.where !== 'caller') return
        assert.deepEqual(
          placed.links.map((link) => [link.version, link.role, link.simulation]),
          run.map((one, index) => [one, role, sos[index]])
        )
        assert.equal(placed.delegate.version, delegate)
        assert.ok(mayBePlaced(versions, called))
      })
    )
  })

  it('G5: a version between the delegate, exclusive, and the one simulated calls for a direct call', () => {
    const links = [1, 2, 4].map((version) => ({ version, fault: version === 4 ? 'quarantined' : null }))
    checkPlacement(links, 2, 5)
    checkPlacement(links, 2, 4)
    checkPlacement(links.slice(1), 2, 1)
    for (const [delegate, simulated] of [
      [1, 2],
      [1, 5],
      [2, 1],
      [4, 2]
    ] as const) {
      assert.throws(() => checkPlacement(links, delegate, simulated), { name: 'Misplaced', serves: [1, 2] })
    }
  })
})
