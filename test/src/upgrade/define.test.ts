import assert from 'node:assert/strict'
import fc from 'fast-check'
import { after, all, defineUpgrade, immediately, rolling, sequence } from '../../../src/index.ts'
import { pathSchema } from '../../../src/names.ts'
import { durationMs } from '../../../src/schedule/combinators.ts'
import { scheduleSchema } from '../../../src/schedule/schedule.ts'

const malformed = { name: 'Malformed' }

describe('defineUpgrade', () => {
  it('U1: fills in what is left out', () => {
    const { classes } = defineUpgrade({
      version: 2,
      description: 'colours',
      classes: {
        IntSet: { becomes: 'ColorSet', object: './color-set.ts', past: 'subtype' },
        Audit: { new: true, object: './audit.ts' }
      }
    })
    assert.deepEqual(classes[0], {
      from: 'IntSet',
      to: 'ColorSet',
      object: './color-set.ts',
      transform: null,
      ways: [],
      future: null,
      past: 'subtype',
      schedule: { when: { kind: 'immediately' }, constraints: [{ kind: 'rolling', by: 'group', unavailable: 1 }] },
      simulate: null,
      needs: null,
      access: null,
      spec: null
    })
    assert.equal(classes[1]!.from, null)
    assert.deepEqual(classes[1]!.schedule, { when: { kind: 'immediately' }, constraints: [] })
  })

  it('U1: every class of version 1 is new', () => {
    const upgrade = defineUpgrade({ version: 1, description: '', classes: { IntSet: { object: './int-set.ts' } } })
    assert.equal(upgrade.classes[0]!.from, null)
  })

  it('U1: refuses what cannot be meant', () => {
    const define = (upgrade: any) => () => defineUpgrade({ description: '', ...upgrade })
    const object = './a.ts'
    assert.throws(define({ version: 1, classes: { A: { object, transform: './t.ts' } } }), malformed)
    assert.throws(define({ version: 2, classes: { A: { object, new: true, past: 'subtype' } } }), malformed)
    assert.throws(
      define({ version: 2, classes: { A: { object, becomes: 'C' }, B: { object, becomes: 'C' } } }),
      malformed
    )
    // L21: there is nothing that it could start.
    assert.throws(define({ version: 2, classes: { A: { object, simulate: immediately() } } }), malformed)
    assert.throws(define({ version: 2, classes: { A: { object, new: true, simulate: immediately() } } }), malformed)
    assert.throws(
      define({ version: 2, classes: { A: { object, future: object, simulate: { kind: 'sometimes' } } } }),
      malformed
    )
    assert.throws(define({ version: 2, classes: {} }), malformed)
    assert.throws(define({ version: 0, classes: { A: { object } } }), malformed)
    assert.throws(define({ version: 2, classes: { A: { object, futrue: object } } }), malformed)
    assert.throws(define({ version: 2, classes: { 'no name': { object } } }), malformed)
    assert.throws(define({ version: 2, classes: { A: { object: '/etc/passwd' } } }), malformed)
  })
})

describe('combinators', () => {
  it('S: give data that a peer accepts', () => {
    const schedule = {
      when: sequence(immediately(), all(after({ delay: '10m' }), after({ delay: 5 }))),
      constraints: [rolling({ by: 'group', unavailable: 2 })]
    }
    assert.deepEqual(scheduleSchema.parse(schedule), schedule)
    assert.deepEqual(after({ delay: '10m' }), { kind: 'after', delayMs: 600_000 })
  })

  it('S: durations are strict', () => {
    for (const [text, ms] of [
      ['0ms', 0],
      ['90s', 90_000],
      ['10m', 600_000],
      ['1h', 3_600_000],
      ['2d', 172_800_000]
    ] as const) {
      assert.equal(durationMs(text), ms)
    }
    for (const bad of [
      '',
      '10',
      'm',
      '1 m',
      '-1s',
      '1.5h',
      '1h30m',
      '367d',
      '10M',
      '1e3s',
      -1,
      0.5,
      Number.NaN,
      1e300
    ]) {
      assert.throws(() => durationMs(bad as any), malformed, String(bad))
    }
  })
})

describe('paths', () => {
  it('U2: no path leaves the directory, whatever it is made of', () => {
    const segment = fc.constantFrom('a', '..', '.', '', 'b.js', '...', '..a', '\\', 'C:', '\0', 'é', '@x', '%2e%2e')
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), (segments) => {
        const path = segments.join('/')
        if (!pathSchema.safeParse(path).success) return
        const resolved = new URL(`file:///bundle/${path}`).pathname
        assert.equal(resolved, `/bundle/${path}`)
        assert(!path.includes('\\') && !path.includes('%') && !path.includes('\0'))
      })
    )
    for (const bad of ['', '/', '/a', '../a', 'a/../b', './a', 'a/', 'a//b', '.', '..', 'a\n', 'a/..']) {
      assert.equal(pathSchema.safeParse(bad).success, false, JSON.stringify(bad))
    }
    for (const fine of ['a', 'a/b.js', '...', '..a/b', '@scope/pkg-1+2'])
      assert.equal(pathSchema.safeParse(fine).success, true, fine)
  })
})
