import assert from 'node:assert/strict'
import { STRANGERS_CREDIT } from '../../../src/overlay/admission.ts'
import type { Effect } from '../../../src/overlay/events.ts'
import type { Message } from '../../../src/overlay/messages.ts'
import type { PeerRecord } from '../../../src/overlay/record.ts'
import { LonePeer } from './lone-peer.ts'

const HOUR = 3_600_000

/** What is sent to a peer, by kind. */
const told = (effects: readonly Effect[], to: string): string[] =>
  effects.flatMap((one) => (one.type === 'send' && one.to === to ? [one.message.kind] : []))
const ended = (effects: readonly Effect[]): string[] =>
  effects.flatMap((one) => (one.type === 'disconnect' && one.blame ? [one.peer] : []))

/** One member of a private fleet, and whoever comes to it. */
class Door extends LonePeer {
  constructor(own: object = {}) {
    super({}, own)
  }

  recordOf(peer: string, ticket?: string, counter = 1): Uint8Array {
    const head = { version: 0, hash: this.world.fleet }
    const record: PeerRecord = {
      ...{ format: 1, peer, incarnation: 1, counter, head, group: null, labels: {}, addresses: [`at ${peer}`] },
      ...{ objects: {}, permit: null },
      ...(ticket === undefined ? {} : { ticket })
    } as PeerRecord
    return this.world.authorityOf(() => undefined).sealRecord(record)
  }

  says(from: string, message: Message): Effect[] {
    return this.step({ type: 'message', from, message })
  }

  meets(peer: string): Effect[] {
    return this.step({ type: 'connected', peer })
  }

  asks(peer: string, record?: Uint8Array): Effect[] {
    const asked = { kind: 'neighbour' as const, what: 'ask' as const, urgent: true }
    return this.says(peer, record === undefined ? asked : { ...asked, record })
  }

  tells(from: string, records: Uint8Array[], statements: Uint8Array[] = []): Effect[] {
    return this.says(from, { kind: 'delta', entries: [], statements, records, more: false })
  }

  pause(sequence: number): Uint8Array {
    const said = {
      format: 1 as const,
      fleet: this.world.fleet,
      sequence,
      note: '',
      what: 'pause' as const,
      target: null
    }
    return this.world.makeStatement(said, this.now + HOUR).bytes
  }

  revoke(peer: string, upTo: number): Uint8Array {
    const said = { format: 1 as const, fleet: this.world.fleet, sequence: 1000 + upTo, note: '', peer, upTo }
    return this.world.makeStatement({ ...said, what: 'revoke' }, this.now + HOUR).bytes
  }

  /** A neighbour that was admitted. */
  admitted(peer: string, ticket = this.world.admit(peer)): string {
    this.meets(peer)
    this.says(peer, { kind: 'ticket', ticket })
    this.asks(peer, this.recordOf(peer, ticket))
    return ticket
  }
}

describe('overlay: admission', () => {
  it('A9: no peer of a private fleet without a ticket of its own', () => {
    assert.throws(() => new Door({ peer: 'peer-b' }), { name: 'NotAdmitted' })
    assert.throws(() => new Door({ as: 'operator' }), { name: 'NotAdmitted' })
  })

  it('A4: the ticket goes first; a stranger that asks for anything is told nothing', () => {
    const door = new Door()
    assert.deepEqual(told(door.meets('x'), 'x')[0], 'ticket')
    const effects = [
      ...door.asks('x', door.recordOf('x')),
      ...door.asks('x'),
      ...door.says('x', {
        kind: 'summary',
        head: { version: 9, hash: 'ab' },
        statements: '',
        records: 'r',
        census: ''
      }),
      ...door.says('x', { kind: 'digest', tips: [], statements: [], records: [], room: 9, answer: true }),
      ...door.says('x', { kind: 'shuffle', contacts: [], answer: true }),
      ...door.says('x', { kind: 'want', bundle: 'ab'.repeat(32), index: 0 })
    ]
    assert.deepEqual(told(effects, 'x'), [])
    assert.equal(door.peer.neighbours.has('x'), false)
    assert.equal(door.peer.view.get('x'), undefined)
  })

  it('A4: a good ticket opens, shown by itself or with the record of who asks', () => {
    const door = new Door()
    door.admitted('b')
    assert.equal(door.peer.neighbours.has('b'), true)
    door.meets('c')
    door.asks('c', door.recordOf('c', door.world.admit('c')))
    assert.equal(door.peer.neighbours.has('c'), true)
    assert.deepEqual([...door.peer.view.all()].map(({ record }) => record.peer).sort(), ['b', 'c', 'peer-a'])
  })

  it("A4: another peer's ticket, or an operator's, ends the session; no ticket of the fleet, too", () => {
    const door = new Door()
    door.meets('x')
    const shows = (ticket: string) => ended(door.says('x', { kind: 'ticket', ticket }))
    assert.deepEqual(shows(door.world.admit('b')), ['x'])
    assert.deepEqual(shows(door.world.admit('x', { as: 'operator' })), ['x'])
    assert.deepEqual(shows('made up'), ['x'])
    assert.equal(door.peer.admission.admits('x'), false)
  })

  it('A4: statements of strangers are taken, so many at once and one a second; their records are not', () => {
    const door = new Door()
    door.meets('x')
    door.meets('y')
    const statements = Array.from({ length: STRANGERS_CREDIT }, (_, at) => door.pause(at + 1))
    door.tells('x', [door.recordOf('z', door.world.admit('z'))], statements)
    assert.equal(door.peer.statements.size, STRANGERS_CREDIT)
    assert.equal(door.peer.view.get('z'), undefined)
    door.tells('y', [], [door.pause(100), door.pause(101)])
    assert.equal(door.peer.statements.size, STRANGERS_CREDIT, 'whoever comes next finds the credit spent')
    door.now += 1000
    door.tells('y', [], [door.pause(102), door.pause(103)])
    assert.equal(door.peer.statements.size, STRANGERS_CREDIT + 1)
    door.admitted('b')
    door.tells('b', [], [door.pause(104), door.pause(105)])
    assert.equal(door.peer.statements.size, STRANGERS_CREDIT + 3, 'members have no such bound')
  })

  it('A5: a member that passes on the record of a stranger is not blamed, and the record is not kept', () => {
    const door = new Door()
    door.admitted('b')
    const late = door.world.admit('d', { expires: door.now - 1 })
    assert.deepEqual(ended(door.tells('b', [door.recordOf('c'), door.recordOf('d', late)])), [])
    assert.equal(door.peer.view.get('c'), undefined)
    assert.equal(door.peer.view.get('d'), undefined)
    door.tells('b', [door.recordOf('e', door.world.admit('e'))])
    assert.notEqual(door.peer.view.get('e'), undefined)
  })

  it('A5: with its time, or the news of its revocation, a ticket stops admitting; a later one admits anew', () => {
    const door = new Door()
    door.admitted('b', door.world.admit('b', { expires: door.now + HOUR }))
    door.admitted('c')
    door.tells('b', [door.recordOf('d', door.world.admit('d'))])
    assert.deepEqual(ended(door.tells('c', [], [door.revoke('c', 1), door.revoke('d', 1)])), ['c'])
    assert.equal(door.peer.view.get('c'), undefined)
    assert.equal(door.peer.view.get('d'), undefined)
    assert.equal(door.peer.neighbours.has('c'), false)
    door.now += HOUR
    assert.deepEqual(ended(door.step({ type: 'wake' })), ['b'])
    assert.deepEqual(
      [...door.peer.view.all()].map(({ record }) => record.peer),
      ['peer-a']
    )
    door.step({ type: 'disconnected', peer: 'c' })
    const next = door.world.admit('c', { number: 2 })
    door.meets('c')
    door.says('c', { kind: 'ticket', ticket: next })
    door.asks('c', door.recordOf('c', next, 2))
    assert.equal(door.peer.neighbours.has('c'), true)
  })

  it('A9: a new ticket is told to who is connected and in the next record; one of no use is complained about', () => {
    const door = new Door()
    door.admitted('b')
    const renewed = door.world.admit('peer-a', { number: 2 })
    assert.deepEqual(told(door.step({ type: 'ticket', ticket: renewed }), 'b')[0], 'ticket')
    door.passes(60_000)
    assert.equal(door.record?.ticket, renewed)
    door.step({ type: 'ticket', ticket: door.world.admit('b', { number: 3 }) })
    assert.deepEqual(door.alarms, ['NotAdmitted'])
    assert.equal(door.peer.admission.own?.number, 2)
  })

  it('A9: a week before its end, at its end, and when it is revoked, an alarm; each once', () => {
    const door = new Door({ expires: 1_000_000 + 8 * 24 * HOUR })
    door.passes(1)
    assert.deepEqual(door.alarms, [])
    for (const hours of [25, 1, 1]) door.passes(hours * HOUR)
    assert.deepEqual(door.alarms, ['NotAdmitted'])
    for (const hours of [7 * 24, 1, 1]) door.passes(hours * HOUR)
    assert.deepEqual(door.alarms, ['NotAdmitted', 'NotAdmitted'])
    door.meets('x')
    door.tells('x', [], [door.revoke('peer-a', 1)])
    assert.equal(door.alarms.length, 3)
  })
})
