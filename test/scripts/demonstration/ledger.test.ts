import assert from 'node:assert/strict'
import { Ledger } from '../../../scripts/demonstration/ledger.ts'

describe('demo, ledger', () => {
  it('X2: what was acknowledged last is all that a read may find', () => {
    const ledger = new Ledger()
    ledger.intend('k', 'one')
    ledger.acknowledge('k', 'one')
    ledger.intend('k', 'two')
    ledger.acknowledge('k', 'two')
    assert.ok(ledger.check('k', 'two', 'v1'))
    assert.ok(!ledger.check('k', 'one', 'v2'))
    assert.deepEqual([...ledger.wrong.values()], ['v2 read "one" for k, written was "two"'])
  })

  it('X2: a write in doubt may be found or not, until a later one is acknowledged', () => {
    const ledger = new Ledger()
    ledger.intend('k', 'one')
    assert.ok(ledger.check('k', null, 'v1') && ledger.check('k', 'one', 'v1'))
    ledger.acknowledge('k', 'one')
    ledger.intend('k', null)
    assert.ok(ledger.check('k', null, 'v1') && ledger.check('k', 'one', 'v1'))
    ledger.intend('k', 'three')
    ledger.acknowledge('k', 'three')
    assert.ok(!ledger.check('k', null, 'v1'))
  })

  it('X2: a key that was never written reads as absent', () => {
    const ledger = new Ledger()
    assert.ok(ledger.check('k', null, 'v2'))
    assert.ok(!ledger.check('k', 'from nowhere', 'v2'))
  })

  it('X2: one operation at a time uses a key', async () => {
    const ledger = new Ledger()
    const { promise, resolve } = Promise.withResolvers<string>()
    const first = ledger.alone('k', () => promise)
    assert.equal(await ledger.alone('k', async () => 'second'), undefined)
    resolve('first')
    assert.equal(await first, 'first')
    assert.equal(await ledger.alone('k', async () => 'third'), 'third')
  })
})
