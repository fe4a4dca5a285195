/** SPEC K18: a group is upgraded one member at a time under load, and no call of a client fails. */
import assert from 'node:assert/strict'
import type { Value } from '../../../src/versions/types.ts'
import { Fleet, type Version } from './fleet.ts'

const CLIENTS = 8
const CALLS_BETWEEN_UPGRADES = 200

class Clients {
  readonly #fleet: Fleet
  readonly acknowledged = new Map<string, string>()
  stopped = false
  calls = 0

  constructor(fleet: Fleet) {
    this.#fleet = fleet
  }

  /** Like the daemon's client: what was not executed goes to another member. */
  async call(version: Version, at: number, method: string, args: Value[]): Promise<any> {
    this.calls++
    for (let tries = 0; ; tries++) {
      try {
        return await this.#fleet.member(at + tries).call(version, method, args)
      } catch (error: any) {
        if (error.name !== 'Unavailable' || tries === 2) throw error
      }
    }
  }

  async run(client: number): Promise<void> {
    for (let i = 0; !this.stopped; i++) {
      const key = `c${client}k${i % 50}`
      const value = `${i}`
      if (i % 2 === 0) await this.call(1, client + i, 'put', [key, value])
      else {
        const seen = await this.call(2, client + i, 'get', ['default', key])
        const outcome = await this.call(2, i, 'compareAndSet', ['default', key, seen?.version ?? null, value, {}])
        assert.equal(outcome.ok, true)
      }
      this.acknowledged.set(key, value)
      assert.equal(await this.call(1, i + 1, 'get', [key]), value)
    }
  }

  async reach(calls: number): Promise<void> {
    while (this.calls < calls) await new Promise((turn) => setImmediate(turn))
  }
}

describe('examples/kv, a rolling upgrade', () => {
  it('K18: no call fails, no write is lost, all four pairs of versions call each other', async () => {
    const fleet = await Fleet.create()
    try {
      const clients = new Clients(fleet)
      const running = Array.from({ length: CLIENTS }, (_, client) => clients.run(client))
      const upgrading = (async () => {
        for (const member of fleet.members) {
          await clients.reach(clients.calls + CALLS_BETWEEN_UPGRADES)
          await member.upgrade()
        }
        await clients.reach(clients.calls + CALLS_BETWEEN_UPGRADES)
      })().finally(() => {
        clients.stopped = true
      })
      await Promise.all([upgrading, ...running])
      for (const pair of ['1→1', '1→2', '2→1', '2→2']) assert.ok((fleet.pairs.get(pair) ?? 0) > 0, pair)
      for (const reader of fleet.members) {
        for (const [key, value] of clients.acknowledged) {
          assert.equal(await reader.call(1, 'get', [key]), value)
          assert.equal((await reader.call(2, 'get', ['default', key])).value, value)
        }
      }
    } finally {
      await fleet.close()
    }
  })

  it('K17: the transform streams a log of many frames, the last line of a key wins, and reports progress', async () => {
    const fleet = await Fleet.create(1)
    try {
      const [member] = fleet.members
      for (let round = 0; round < 3; round++) {
        await Promise.all(Array.from({ length: 1000 }, (_, i) => member!.call(1, 'put', [`k${i}`, `${i + round}`])))
      }
      await member!.call(1, 'delete', ['k7'])
      await member!.upgrade()
      for (let i = 0; i < 1000; i++) {
        assert.equal(await member!.call(1, 'get', [`k${i}`]), i === 7 ? null : `${i + 2}`)
      }
      assert.equal((await member!.call(2, 'list', ['default', { prefix: 'k9', limit: 5 }])).length, 5)
    } finally {
      await fleet.close()
    }
  })
})
