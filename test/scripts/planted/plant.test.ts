import assert from 'node:assert/strict'
import { bugs } from '../../../scripts/planted/bugs.ts'
import { find, planted } from '../../../scripts/planted/plant.ts'

describe('scripts/planted: the checkers are alive', () => {
  it('M48: every defect of the list still has its place in the core', async () => {
    assert.ok(bugs.length >= 20)
    assert.equal(new Set(bugs.map(({ what }) => what)).size, bugs.length)
    for (const bug of bugs) assert.notEqual(await planted(bug), '')
  })

  for (const [what, rule] of [
    ['what is told leaves before it is durable', 'M42'],
    ['the TF starts while the object serves', 'M13'],
    ['code runs before its bundle is here', 'M12']
  ] as const)
    it(`M48: ${what}: the swarm finds it by ${rule}`, async () => {
      const found = await find(bugs.find((one) => one.what === what)!, 1, 20)
      assert.equal(found?.rule, rule)
    }).timeout(60_000)
})
