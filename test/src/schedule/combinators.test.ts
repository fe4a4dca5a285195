import assert from 'node:assert/strict'
import * as schedules from '../../../src/schedule/combinators.ts'

/** What an author writes without a compiler at hand: no types. */
const written = schedules as unknown as Record<string, (...options: unknown[]) => unknown>

const misspelt: Record<string, [unknown[], string]> = {
  after: [[{ class: 'Store', version: 2, fracton: 0.5 }], 'fracton'],
  canary: [[{ fraction: 0.1, soak: '1h', sucess: 0.9 }], 'sucess'],
  waves: [[[0.1, 1], { every: '1h', sucess: 0.9 }], 'sucess'],
  domains: [[{ by: 'zone', order: ['a', 'b'], evry: '1h' }], 'evry'],
  signalled: [[{ fraction: 0.9, off: 'group' }], 'off'],
  random: [[{ within: '1h', shape: 'even' }], 'shape'],
  gradual: [[{ over: '1h', shap: 'even' }], 'shap'],
  window: [[{ cron: '0 2 * * *', duration: '1h', timeZone: 'Europe/Berlin' }], 'timeZone'],
  quiet: [[{ loadBelow: 5, for: '1m', fro: '1m' }], 'fro'],
  lock: [[{ timeout: '1h', name: 'backup' }], 'name'],
  deadline: [[{ kind: 'manual' }, { after: '1h', delay: '1h' }], 'delay'],
  rolling: [[{ by: 'group', unavailable: 1, minimumAliev: 2 }], 'minimumAliev'],
  guard: [[{ failedAbove: 0.1, unhealthyAbov: 0.1 }], 'unhealthyAbov']
}

describe('schedule/combinators', () => {
  for (const [name, [options, option]] of Object.entries(misspelt))
    it(`${name}: an option that is misspelt is refused by name, not left out`, () => {
      assert.throws(() => written[name]!(...options), {
        code: 'Malformed',
        message: new RegExp(`^${name}: there is no "${option}"; there are `)
      })
    })

  it('what takes options says so where there are none', () => {
    for (const name of ['waves', 'rolling', 'guard', 'window'])
      assert.throws(() => written[name]!(...(name === 'waves' ? [[0.1, 1]] : [])), /takes an object with /)
  })
})
