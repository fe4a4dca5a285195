import assert from 'node:assert/strict'
import { pausing } from '../../../scripts/crowd/pause.ts'

describe('a pause at one of thirty real peers (SPEC S14)', () => {
  it('holds all of them, and one that joins later', async () => {
    const { peers, begun } = await pausing(30, 2)
    assert.deepEqual({ peers, begun }, { peers: 30, begun: 0 })
  }).timeout(300_000)
})
