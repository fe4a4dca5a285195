import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../../node/cli/program.ts'
import type { Credentials } from '../../../node/client.ts'
import { loadPeerKey } from '../../../node/network/key.ts'
import { openTrust, type Trust } from '../../../src/upgrade/trust.ts'
import { ADDRESS, FakeFleet } from './fake-fleet.ts'

describe('upstart admit, revoke', () => {
  let directory: string
  let fleet: FakeFleet
  let trust: Trust
  let member: string
  /** What the last command showed when it connected. */
  let shown: Credentials | undefined
  const at = (name: string) => join(directory, name)

  const upstart = async (...args: string[]) => {
    const said: string[] = []
    const say = (text: string): void => {
      said.push(text)
    }
    const code = await run(args, {
      connect: (_root, _peers, credentials) => {
        shown = credentials
        return fleet.connect()
      },
      release: '1.2.3',
      terminal: { width: 0, out: say, error: say } as never
    })
    const out = said.join('')
    return { code, out }
  }
  const well = async (...args: string[]): Promise<any> => {
    const { code, out } = await upstart(...args, '--json')
    assert.equal(code, 0, out)
    return JSON.parse(out)
  }
  const refused = async (name: string, ...args: string[]) => {
    const { code, out } = await upstart(...args, '--json')
    assert.notEqual(code, 0)
    assert.equal(JSON.parse(out).error.name, name, out)
  }
  const opened = async (path: string) => trust.openTicket(await readFile(at(path), 'utf8'))

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-admission-'))
    fleet = new FakeFleet()
    for (const name of ['root', 'ann', 'ben', 'op']) await well('keygen', at(name))
    const admission = `2:${at('ann.pub')},${at('ben.pub')}`
    await well(
      ...['root', 'new', '--root', at('root.pub'), '--admission', admission],
      ...['--sign', at('root'), '-o', at('root.json')]
    )
    trust = openTrust(new Uint8Array(await readFile(at('root.json'))))
    fleet.trust = trust
    member = (await loadPeerKey(at('peer.key'))).peer
  })
  after(() => rm(directory, { recursive: true }))

  it('A1: root new makes a private fleet, unless it is told that it is open', async () => {
    assert.equal(trust.isPrivate, true)
    await well('root', 'new', '--open', '--root', at('root.pub'), '--sign', at('root'), '-o', at('open.json'))
    assert.equal(openTrust(new Uint8Array(await readFile(at('open.json')))).isPrivate, false)
    const both = ['--open', '--admission', at('ann.pub'), '-o', at('x.json')]
    await refused('Usage', 'root', 'new', '--root', at('root.pub'), ...both)
    await refused('Usage', 'admit', member, '--root', at('open.json'), '-o', at('x.ticket'))
  })

  it('C20: two sign a ticket, one after another; it says who may host what, as what', async () => {
    const narrow = ['--class', 'Kv', '--label', 'zone=a', '--label', 'disk=ssd']
    const half = await well('admit', member, ...narrow, '--root', at('root.json'), '--sign', at('ann'), '-o', at('t'))
    assert.deepEqual([half.signatures, half.threshold], [1, 2])
    const whole = await well('sign', at('t'), '--key', at('ben'), '--root', at('root.json'))
    assert.deepEqual([whole.kind, whole.present, whole.threshold], ['ticket', 2, 2])
    const ticket = await opened('t')
    assert.deepEqual([ticket.peer, ticket.as, ticket.classes], [member, 'member', ['Kv']])
    assert.deepEqual(ticket.labels, { zone: 'a', disk: 'ssd' })
  })

  it('C20: an operator is admitted by its key file, and shows both with every command', async () => {
    const signed = ['--root', at('root.json'), '--sign', at('ann'), '--sign', at('ben')]
    await well('admit', at('op.pub'), '--operator', '--expires', '30d', ...signed, '-o', at('op.ticket'))
    const ticket = await opened('op.ticket')
    assert.equal(ticket.as, 'operator')
    const asked = ['status', '--root', at('root.json'), '--peer', ADDRESS]
    await well(...asked, '--ticket', at('op.ticket'), '--identity', at('op'))
    assert.deepEqual(shown, { ticket: at('op.ticket'), key: at('op') })
    await well(...asked)
    assert.equal(shown, undefined)
    await refused('Usage', ...asked, '--ticket', at('op.ticket'))
  })

  it('C20: revoke ends what was written until now', async () => {
    const before = Date.now()
    const signed = ['--root', at('root.json'), '--sign', at('ann'), '--sign', at('ben')]
    await well('admit', member, ...signed, '-o', at('last'))
    const { statement } = await well('revoke', member, ...signed, '--peer', ADDRESS)
    assert.deepEqual([statement.what, statement.peer], ['revoke', member])
    assert.ok(statement.upTo >= (await opened('last')).number && statement.upTo >= before)
  })

  it('C20: what is no peer and no key file, no label, and a key without the role are refused', async () => {
    const root = ['--root', at('root.json'), '-o', at('x')]
    await refused('Usage', 'admit', at('nobody'), ...root)
    await refused('Usage', 'admit', member, '--label', 'zone', ...root)
    await refused('Usage', 'admit', member, '--class', 'not a name', ...root)
    await refused('WrongSignature', 'admit', member, '--sign', at('root'), ...root)
  })
})
