import assert from 'node:assert/strict'
import { Contacts } from '../../../src/overlay/contacts.ts'
import { Outbox } from '../../../src/overlay/outbox.ts'
import { PassiveSet } from '../../../src/overlay/passive.ts'
import { View } from '../../../src/overlay/view.ts'
import { Generator } from '../../../src/prng.ts'

const contact = (name: string) => ({ peer: name, addresses: [`/${name}`] })
const names = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index}`)

describe('overlay/contacts', () => {
  it('O2: contacts of an earlier release, which kept more, give way to those that are there now', () => {
    const [outbox, passive] = [new Outbox(), new PassiveSet(32, new Generator(1))]
    const limits = { view: 8, strangers: 8 }
    const around = { hash53: () => 0, isKept: () => false, pins: [], lost: () => undefined }
    const view = new View({ self: 'me', group: null, limits, ...around })
    const kept = names('gone', 32).map(contact)
    const contacts = new Contacts({ bootstrap: [], kept, view, passive, outbox })
    for (const name of names('alive', 20)) passive.note({ ...contact(name), heardAt: 1 })
    contacts.note([])
    const [persist] = outbox.drain()
    assert.ok(persist?.type === 'persist')
    const [[key, value]] = persist.put as [[string, { peer: string }[]]]
    assert.equal(key, 'contacts')
    assert.deepEqual(
      value.map(({ peer }) => peer),
      names('alive', 16)
    )
    assert.deepEqual(
      contacts.seeds().map(({ peer }) => peer),
      names('alive', 16)
    )
  })
})
