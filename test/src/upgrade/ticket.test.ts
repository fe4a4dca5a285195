import assert from 'node:assert/strict'
import { attempt, Refusal } from '../../../src/errors.ts'
import { addSignature, kindOf, signStatement, signTicket } from '../../../src/upgrade/entry.ts'
import { peerIdOf, privateKeyFromSeed } from '../../../src/upgrade/keys.ts'
import { parseRoot, signRoot } from '../../../src/upgrade/root.ts'
import { checkCovers, MAX_TICKET_BYTES, type TicketBody } from '../../../src/upgrade/ticket.ts'
import { openTrust } from '../../../src/upgrade/trust.ts'
import { FAR, testFleet, testSigner } from './fleet.ts'

const ADMISSION = [testSigner(7), testSigner(8)]

/** Of the fleet of all tests, where two of two admit. */
function privateFleet() {
  const holders = (...signers: typeof ADMISSION) => ({ keys: signers.map(({ key }) => key), threshold: signers.length })
  const [root, operator] = [testSigner(1), testSigner(5)]
  const roles = {
    root: holders(root),
    targets: holders(root),
    operator: holders(operator),
    admission: holders(...ADMISSION)
  }
  return openTrust(signRoot({ roles, expiresMs: FAR }, [root]))
}

const seedOf = (n: number) => new Uint8Array(32).fill(n)
const peerOf = (n: number) => peerIdOf(privateKeyFromSeed(seedOf(n)))

describe('upgrade: tickets', () => {
  const trust = privateFleet()
  const body = (change: Partial<TicketBody> = {}): TicketBody => ({
    format: 1,
    fleet: trust.fleet,
    peer: peerOf(40),
    number: 3,
    as: 'member',
    classes: null,
    labels: null,
    ...change
  })
  const ticket = (change: Partial<TicketBody> = {}, signers = ADMISSION) =>
    new TextDecoder().decode(signTicket(body(change), FAR, signers))
  const refused = (action: () => unknown): string => {
    const result = attempt(action)
    assert.ok(result instanceof Refusal)
    return result.code
  }

  it('A1: a root says that a fleet is open, or who admits; never both or neither', () => {
    assert.equal(trust.isPrivate, true)
    const { rootBytes } = testFleet()
    assert.equal(openTrust(rootBytes).isPrivate, false)
    const open = JSON.parse(new TextDecoder().decode(rootBytes))
    const encoded = (root: unknown) => new TextEncoder().encode(JSON.stringify(root))
    delete open.signed['x-upstart-open']
    assert.equal(
      refused(() => parseRoot(encoded(open))),
      'Malformed'
    )
    open.signed['x-upstart-open'] = true
    open.signed.roles.admission = open.signed.roles.root
    assert.equal(
      refused(() => parseRoot(encoded(open))),
      'Malformed'
    )
  })

  it('A2: it counts with the signatures of the role, added one after another, and with no others', () => {
    const opened = trust.openTicket(ticket({ classes: ['Kv'], labels: { zone: 'a' } }))
    assert.deepEqual([opened.peer, opened.number, opened.classes], [peerOf(40), 3, ['Kv']])
    const half = signTicket(body(), FAR, [ADMISSION[0]!])
    assert.equal(kindOf(half), 'ticket')
    assert.equal(
      refused(() => trust.openTicket(new TextDecoder().decode(half))),
      'UnderThreshold'
    )
    assert.equal(trust.openTicket(new TextDecoder().decode(addSignature(half, ADMISSION[1]!))).number, 3)
    assert.match(
      refused(() => trust.openTicket(ticket({}, [testSigner(5)]))),
      /WrongSignature|UnknownKey/
    )
    assert.equal(
      refused(() => trust.openTicket(ticket({}, []))),
      'Unsigned'
    )
    assert.equal(
      refused(() => trust.openTicket(ticket({ fleet: 'ab'.repeat(32) }))),
      'WrongFleet'
    )
    assert.equal(
      refused(() => trust.openTicket('x'.repeat(MAX_TICKET_BYTES + 1))),
      'Oversize'
    )
    const changed = ticket().replace('"number":3', '"number":4').replace('"version":3', '"version":4')
    assert.equal(
      refused(() => trust.openTicket(changed)),
      'WrongSignature'
    )
    assert.equal(
      refused(() => testFleet().trust.openTicket(ticket())),
      'WrongFleet'
    )
  })

  it('A3: only the role that admits revokes', () => {
    const said = {
      format: 1,
      fleet: trust.fleet,
      sequence: 1,
      note: '',
      what: 'revoke',
      peer: peerOf(40),
      upTo: 3
    } as const
    assert.equal(trust.openStatement(signStatement(said, FAR, ADMISSION)).body.what, 'revoke')
    assert.match(
      refused(() => trust.openStatement(signStatement(said, FAR, [testSigner(5)]))),
      /WrongSignature|UnknownKey/
    )
  })

  it('A5: it covers its own peer, as a member, with its labels and objects', () => {
    const covers = (text: string, labels: Record<string, string>, objects: string[] = [], peer = peerOf(40)) => {
      const found = attempt(() => checkCovers(trust.openTicket(text), { peer, labels, objects }))
      return found instanceof Refusal ? found.code : 'covered'
    }
    const narrow = ticket({ labels: { zone: 'a', disk: 'ssd' }, classes: ['Kv'] })
    assert.equal(covers(narrow, { zone: 'a' }, ['Kv']), 'covered')
    assert.equal(covers(ticket(), { canary: 'yes' }, ['Kv', 'Other']), 'covered')
    assert.equal(covers(narrow, { zone: 'b' }), 'NotAdmitted')
    assert.equal(covers(narrow, { canary: 'yes' }), 'NotAdmitted')
    assert.equal(covers(narrow, {}, ['Kv', 'Other']), 'NotAdmitted')
    assert.equal(covers(ticket({ peer: peerOf(41) }), {}), 'NotAdmitted')
    assert.equal(covers(ticket({ as: 'operator' }), {}), 'NotAdmitted')
  })
})
