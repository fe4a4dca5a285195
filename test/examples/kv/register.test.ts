/** SPEC K3, K8, K16: proposals that no majority accepted, and come up again at the wrong moment. */
import assert from 'node:assert/strict'
import type { Entry, Page, Vote } from '../../../examples/kv/protocol/acceptor.ts'
import { Clock } from '../../../examples/kv/protocol/ballot.ts'
import { collect } from '../../../examples/kv/protocol/listing.ts'
import { Register } from '../../../examples/kv/protocol/register.ts'
import { Fleet } from './fleet.ts'

const away = () => Promise.reject(new Error('away'))
const yes = (): Promise<Vote> => Promise.resolve({ yes: true, row: null })
const no = (): Promise<Vote> => Promise.resolve({ yes: false, ballot: '000000000000001.000000.other' })

describe('examples/kv, lost proposals', () => {
  const { patienceMs } = Register
  before(() => {
    Register.patienceMs = 50
  })
  after(() => {
    Register.patienceMs = patienceMs
  })

  it('K3: a coordinator that proposed, and then would rather not, buries what it proposed', async () => {
    const accepted: Entry[] = []
    let round = 0
    const register = new Register<Entry>(new Clock('me', 1), {
      prepare: () => (++round === 1 ? [yes(), yes(), yes()] : [yes(), away(), yes()]),
      accept: (_, __, entry) => {
        accepted.push(entry)
        return round === 1 ? [no(), yes(), away()] : [yes(), away(), yes()]
      },
      read: () => []
    })
    const result = await register.change('k', (_, stamp) =>
      round === 1 ? { entry: { stamp, value: 'v', calls: [] }, result: 'written' } : { result: 'not written' }
    )
    assert.equal(result, 'not written')
    assert.deepEqual(
      accepted.map((entry) => entry.value),
      ['v', null]
    )
  })

  it('K3: without a majority: OutcomeUnknown, whether something was proposed or not', async () => {
    const register = (accepts: boolean) =>
      new Register<Entry>(new Clock('me', 1), {
        prepare: () => (accepts ? [yes(), yes(), away()] : [yes(), away(), away()]),
        accept: () => [yes(), away(), away()],
        read: () => [yes().then(() => null), away(), away()]
      })
    const write = (_: Entry | null, stamp: string) => ({ entry: { stamp, value: 'v', calls: [] }, result: null })
    await assert.rejects(register(false).change('k', write), { name: 'OutcomeUnknown' })
    await assert.rejects(register(false).read('k'), { name: 'OutcomeUnknown' })
    await assert.rejects(register(true).change('k', write), { name: 'OutcomeUnknown' })
  })

  it('K7: a listing ends, however many members answer at one instant', async () => {
    const page: Page = { rows: [], next: null, joined: true, clock: '' }
    for (const answers of [1, 2, 3]) {
      const pages = () => Array.from({ length: 3 }, (_, i) => (i < answers ? Promise.resolve(page) : away()))
      const listed = collect({}, pages, () => Promise.resolve(null))
      if (answers === 1) await assert.rejects(listed, { name: 'OutcomeUnknown' })
      else assert.deepEqual(await listed, [])
    }
  })

  it('K16: a compare-and-set that was answered "not written" does not come up later', async () => {
    const fleet = await Fleet.create()
    try {
      await fleet.member(0).call(1, 'put', ['k', 'v'])
      // No member sees by itself what another one holds.
      const cut = (lost: (from: string, to: string, method: string) => boolean) => {
        fleet.fate = (...message) => (message[2] === 'page' || lost(...message) ? 'request lost' : 'passes')
      }
      cut((from, _, method) => from === 'member0' && method === 'accept')
      const set = ['default', 'k', null, 'late', {}]
      await assert.rejects(fleet.member(0).call(1, 'delete', ['k']), { name: 'OutcomeUnknown' })
      // It finds the deletion that only this member accepted, and follows it, at this member only.
      await assert.rejects(fleet.member(0).call(2, 'compareAndSet', set, 'id'), { name: 'OutcomeUnknown' })
      cut((_, to) => to === 'member0')
      assert.equal((await fleet.member(1).call(2, 'compareAndSet', set, 'id')).ok, false)
      fleet.fate = () => 'passes'
      for (const member of fleet.members) assert.equal(await member.call(1, 'get', ['k']), 'v')
    } finally {
      await fleet.close()
    }
  })
})
