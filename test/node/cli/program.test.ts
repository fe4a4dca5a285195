import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { argumentOf } from '../../../node/cli/fleet.ts'
import { run } from '../../../node/cli/program.ts'
import { statusText } from '../../../node/cli/table.ts'
import { openTrust } from '../../../src/upgrade/trust.ts'
import { COLOR_SET, INT_SET, writeSources } from '../pack/sets.ts'
import { ADDRESS, FakeFleet, MEMBERS } from './fake-fleet.ts'

describe('upstart', function () {
  this.timeout(60_000)
  let directory: string
  let fleet: FakeFleet
  const at = (name: string): string => join(directory, name)

  const upstart = async (...args: string[]) => {
    let out = ''
    let error = ''
    const terminal = {
      out: (text: string) => {
        out += text
      },
      error: (text: string) => {
        error += text
      }
    }
    const code = await run(args, { connect: fleet.connect, release: '1.2.3', terminal })
    return { code, out, error }
  }
  /** Succeeds with one JSON object. */
  const json = async (...args: string[]): Promise<any> => {
    const { code, out, error } = await upstart(...args, '--json')
    assert.equal(code, 0, `${args.join(' ')}: ${out}${error}`)
    assert.equal(error, '')
    assert.equal(out.trim().split('\n').length, 1)
    return JSON.parse(out)
  }
  /** Fails in both forms with the same refusal. */
  const refused = async (name: string, ...args: string[]): Promise<string> => {
    const plain = await upstart(...args)
    assert.notEqual(plain.code, 0, args.join(' '))
    assert.equal(plain.out, '')
    assert.equal(plain.error.trim().split('\n').length, 1, plain.error)
    const { code, out, error } = await upstart(...args, '--json')
    assert.equal(code, plain.code)
    assert.equal(error, '')
    assert.equal(JSON.parse(out).error.name, name, out)
    return plain.error
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-cli-'))
    fleet = new FakeFleet()
    for (const name of ['alice', 'bob', 'carol', 'dora', 'eve']) await json('keygen', at(`${name}.key`))
    const release = `2:${['alice', 'bob', 'carol'].map((name) => at(`${name}.key.pub`)).join()}`
    const made = await json(
      ...[
        'root',
        'new',
        '--open',
        '--root',
        at('dora.key.pub'),
        '--release',
        release,
        '--operator',
        at('dora.key.pub')
      ],
      ...['--sign', at('dora.key'), '--out', at('root.json')]
    )
    fleet.trust = openTrust(new Uint8Array(readFileSync(at('root.json'))))
    assert.equal(made.fleet, fleet.trust.fleet)
    await writeSources(at('v1'), INT_SET)
    await writeSources(at('v2'), COLOR_SET)
  })
  after(() => rm(directory, { recursive: true }))

  it('C2: a private key is its owner’s alone and never overwritten', async () => {
    assert.equal(statSync(at('alice.key')).mode & 0o777, 0o600)
    await refused('Usage', 'keygen', at('alice.key'))
    await writeFile(at('noise.key'), 'noise')
    await refused('Malformed', 'sign', at('root.json'), '--key', at('noise.key'))
  })

  it('C3: a root of several is complete once its threshold has signed', async () => {
    const keys = `2:${at('alice.key.pub')},${at('bob.key.pub')}`
    const made = await json('root', 'new', '--open', '--root', keys, '--sign', at('alice.key'), '--out', at('two.json'))
    assert.deepEqual([made.fleet, made.signatures, made.threshold], [null, 1, 2])
    await refused('UnderThreshold', 'pack', at('v1'), '--root', at('two.json'), '--out', at('x.upgrade'))
    const signed = await json('sign', at('two.json'), '--key', at('bob.key'))
    assert.equal(signed.hash, openTrust(new Uint8Array(readFileSync(at('two.json')))).fleet)
    for (const bad of ['3:a.pub', '0:a.pub', '1:', at('absent.pub')]) {
      await refused('Usage', 'root', 'new', '--open', '--root', bad, '--out', at('never.json'))
    }
  })

  it('C4, C5, C6: from sources to an injected version 2, signed by two people', async () => {
    const root = ['--root', at('root.json')]
    const one = await json('pack', at('v1'), ...root, '--out', at('v1.upgrade'), '--sign', at('alice.key'))
    assert.equal(one.version, 1)
    const peer = ['--peer', ADDRESS]
    await refused('UnderThreshold', 'inject', at('v1.upgrade'), ...root, ...peer)
    const signed = await json('sign', at('v1.upgrade'), '--key', at('bob.key'), ...root)
    assert.deepEqual([signed.kind, signed.present, signed.threshold, signed.hash], ['entry', 2, 2, one.hash])
    assert.equal((await json('inject', at('v1.upgrade'), ...root, ...peer)).answer, 'accepted')
    const two = await json('pack', at('v2'), ...root, '--parent', at('v1.upgrade'), '--out', at('v2.upgrade'))
    assert.equal(two.parent, one.hash)
    await refused('Unsigned', 'inject', at('v2.upgrade'), ...root, ...peer)
    await json('sign', at('v2.upgrade'), '--key', at('alice.key'), '--key', at('carol.key'))
    await json('inject', at('v2.upgrade'), ...root, ...peer)
    assert.deepEqual(fleet.injected.slice(-2), ['version 1', 'version 2'])
  })

  it('C6: inject refuses, before anything is sent, what a peer would refuse', async () => {
    const before = fleet.injected.length
    const rest = ['--root', at('root.json'), '--peer', ADDRESS]
    const pack = (name: string, ...more: string[]) =>
      json('pack', at('v1'), '--root', at('root.json'), '--out', at(name), ...more)
    await pack('eve.upgrade', '--sign', at('eve.key'), '--sign', at('alice.key'))
    await refused('UnknownKey', 'inject', at('eve.upgrade'), ...rest)
    await pack('old.upgrade', '--sign', at('bob.key'), '--sign', at('alice.key'), '--expires', '2001-01-01T00:00:00Z')
    await refused('Expired', 'inject', at('old.upgrade'), ...rest)
    await pack('good.upgrade', '--sign', at('bob.key'), '--sign', at('alice.key'))
    const good = readFileSync(at('good.upgrade'))
    await writeFile(at('cut.upgrade'), good.subarray(0, good.length - 3000))
    await refused('Malformed', 'inject', at('cut.upgrade'), ...rest)
    const flipped = Buffer.from(good)
    flipped[good.indexOf('this.context')]! ^= 1
    await writeFile(at('flipped.upgrade'), flipped)
    await refused('WrongBundle', 'inject', at('flipped.upgrade'), ...rest)
    await refused('Malformed', 'sign', at('cut.upgrade'), '--key', at('alice.key'))
    await refused('WrongFleet', 'inject', at('good.upgrade'), '--root', at('two.json'), '--peer', ADDRESS)
    await writeFile(at('other.json'), '{}')
    await refused('Malformed', 'inject', at('other.json'), ...rest)
    await writeFile(at('large.json'), `{${' '.repeat(70_000)}}`)
    await refused('Oversize', 'inject', at('large.json'), ...rest)
    await refused('Usage', 'inject', at('absent.upgrade'), ...rest)
    assert.equal(fleet.injected.length, before)
  })

  it('C7: a roster of whom the peer knows, numbered after the newest', async () => {
    const rest = ['--root', at('root.json'), '--sign', at('dora.key'), '--peer', ADDRESS]
    const { statement } = await json('roster', '--group', 'g', ...rest)
    assert.deepEqual([statement.number, statement.members], [5, [...MEMBERS].sort()])
    assert.equal(JSON.parse(fleet.injected.at(-1)!).what, 'roster')
    await refused('Usage', 'roster', '--group', 'nobody', ...rest)
    const given = await json('roster', '--group', 'h', '--members', MEMBERS[1]!, '--number', '3', ...rest)
    assert.deepEqual([given.statement.number, given.statement.members], [3, [MEMBERS[1]]])
  })

  it('C7: a statement is kept, signed by others, and injected later', async () => {
    const root = ['--root', at('root.json')]
    await refused('Usage', 'pause', ...root)
    const made = await json('pause', ...root, '--out', at('pause.json'), '--note', 'wait')
    await refused('Unsigned', 'inject', at('pause.json'), ...root, '--peer', ADDRESS)
    await json('sign', at('pause.json'), '--key', at('dora.key'))
    const { hash } = await json('inject', at('pause.json'), ...root, '--peer', ADDRESS)
    assert.equal(hash, made.hash)
    await refused('WrongSignature', 'pause', ...root, '--peer', ADDRESS, '--sign', at('alice.key'))
  })

  it('C7: abort, approve, retry and exclude name one upgrade, or one member', async () => {
    const rest = ['--root', at('root.json'), '--peer', ADDRESS, '--sign', at('dora.key')]
    const said = async (...words: string[]) => (await json(...words, ...rest)).statement
    for (const what of ['abort', 'approve']) {
      const { what: made, target } = await said(what, '1')
      assert.deepEqual([made, target], [what, 'a'.repeat(64)])
      await refused('Usage', what, 'all', ...rest)
      await refused('Usage', what, '9', ...rest)
    }
    assert.equal((await said('retry', '1')).peer, null)
    assert.equal((await said('retry', '1', '--node', MEMBERS[0]!)).peer, MEMBERS[0])
    assert.equal((await said('retry', '1', '--discard-future')).discardFuture, true)
    const { group, peer, roster } = await said('exclude', MEMBERS[0]!, '--group', 'g')
    assert.deepEqual([group, peer, roster], ['g', MEMBERS[0], 4])
    assert.equal((await said('exclude', MEMBERS[1]!, '--group', 'g', '--roster', '2')).roster, 2)
    await refused('Usage', 'exclude', MEMBERS[1]!, '--group', 'g', ...rest)
    await refused('Usage', 'exclude', MEMBERS[0]!, '--group', 'nobodys', ...rest)
  })

  it('C10: leave states a roster without the peer, then that it leaves', async () => {
    const rest = ['--root', at('root.json'), '--peer', ADDRESS, '--sign', at('dora.key')]
    const before = fleet.injected.length
    // Alone in its roster: there is none without it.
    assert.equal((await json('leave', ...rest)).statement.peer, MEMBERS[0])
    assert.equal(fleet.injected.length, before + 1)
    fleet.status.rosters = [{ group: 'g', number: 4, members: MEMBERS }]
    const { statement, roster } = await json('leave', MEMBERS[1]!, ...rest)
    assert.deepEqual([statement.what, statement.peer], ['leave', MEMBERS[1]])
    const { number, members } = roster.statement
    assert.deepEqual([number, members], [5, MEMBERS.filter((one) => one !== MEMBERS[1])])
    assert.deepEqual(
      fleet.injected.slice(before + 1).map((one) => JSON.parse(one).what),
      ['roster', 'leave']
    )
    await refused('Usage', 'leave', 'nobody1234', ...rest)
    fleet.status.peers[1]!.left = true
    await refused('Usage', 'leave', MEMBERS[1]!, ...rest)
    const out = ['--root', at('root.json'), '--sign', at('dora.key'), '--out', at('leave.json')]
    await refused('Usage', 'leave', ...out)
    assert.equal((await json('leave', MEMBERS[0]!, ...out)).path, at('leave.json'))
  })

  it('R6, R7: retire refuses while a class in force is known to call that version, unless forced', async () => {
    const rest = ['--root', at('root.json'), '--peer', ADDRESS, '--sign', at('dora.key')]
    const [entry] = fleet.status.log
    const { callers, target } = (await json('retire', '1', ...rest)).statement
    assert.deepEqual([callers, target], [false, entry!.hash])
    const caller = { class: 'Bag', version: 2, peer: MEMBERS[0]!, calls: 'IntSet', at: 1 }
    entry!.evidence = { callers: [caller], behind: [], lastCall: null }
    const text = await refused('StillNeeded', 'retire', '1', ...rest)
    assert.match(String(text), /class Bag of version 2, which runs at .*, calls IntSet at version 1; .*--force/)
    assert.equal((await json('retire', '1', '--force', '--callers', ...rest)).statement.callers, true)
    const last = { peer: MEMBERS[1]!, object: 'IntSet', version: 1, heardAt: fleet.status.at }
    entry!.evidence = { callers: [], behind: [last], lastCall: null }
    assert.match(await refused('StillNeeded', 'retire', '1', ...rest), /still runs IntSet 1; wait for it, or .*--force/)
    entry!.evidence = null
  })

  it('B6: forget refuses while a known peer still needs the bundle to go on, unless forced', async () => {
    const rest = ['--root', at('root.json'), '--peer', ADDRESS, '--sign', at('dora.key')]
    assert.equal((await json('forget', '1', ...rest)).statement.target, 'a'.repeat(64))
    const [first] = fleet.status.log
    fleet.status.log.push({ ...first!, version: 2, hash: 'c'.repeat(64) })
    const text = await refused('StillNeeded', 'forget', '2', ...rest)
    assert.match(String(text), /still runs version 1 and needs the bundle of version 2 to go on; .*--force/)
    assert.equal((await json('forget', '2', '--force', ...rest)).statement.target, 'c'.repeat(64))
    await refused('Usage', 'forget', 'all', ...rest)
    fleet.status.log.pop()
  })

  it('C7: pause names a version, resume the pause', async () => {
    const rest = ['--root', at('root.json'), '--sign', at('dora.key'), '--peer', ADDRESS]
    assert.equal((await json('pause', ...rest)).statement.target, null)
    assert.equal((await json('pause', '1', ...rest)).statement.target, 'a'.repeat(64))
    const narrow = ['--node', MEMBERS[0]!, '--label', 'region=eu', '--label', 'rack=7', '--class', 'KV']
    const { of } = (await json('pause', ...narrow, ...rest)).statement
    assert.deepEqual(of, { peer: MEMBERS[0], labels: { region: 'eu', rack: '7' }, class: 'KV' })
    await refused('Usage', 'pause', '--label', 'eu', ...rest)
    assert.equal((await json('hasten', '1', ...rest)).statement.what, 'hasten')
    await refused('Usage', 'pause', '9', ...rest)
    assert.equal((await json('resume', ...rest)).statement.lifts, 'b'.repeat(64))
    assert.equal((await json('resume', 'b'.repeat(16), ...rest)).statement.lifts, 'b'.repeat(64))
    await refused('Usage', 'resume', 'c'.repeat(16), ...rest)
  })

  it('C8: status as JSON is the peer’s, as text says why it waits', async () => {
    const rest = ['--root', at('root.json'), '--peer', ADDRESS]
    assert.deepEqual(await json('status', ...rest), JSON.parse(JSON.stringify(fleet.status)))
    const { out } = await upstart('status', ...rest)
    for (const part of [
      'version 1: sets (IntSet)',
      'lunch',
      'waiting: one member of g is down',
      '1→2',
      '1–2',
      'ColorSet 2 was simulated here for 3 calls'
    ]) {
      assert(out.includes(part), `${part} in\n${out}`)
    }
    assert.match(statusText({ ...fleet.status, log: [], peers: [] }), /no upgrade yet/)
    const [first] = fleet.status.peers
    const failed = [{ version: 2, reason: 'its TF threw' }]
    const shown = (version: number) => {
      const object = { ...first!.objects['IntSet']!, version, reason: '', failed: failed as never }
      return statusText({ ...fleet.status, peers: [{ ...first!, objects: { IntSet: object, Bag: object } }] })
    }
    assert.match(shown(1), /Bag.*failed at 2: its TF threw\n.*IntSet/)
    assert.doesNotMatch(shown(3), /failed at 2/, 'what failed at a version that was passed is past')
    await refused('Usage', 'status', '--root', at('root.json'))
  })

  it('C9: call passes JSON and text, a version, and whom to call', async () => {
    const rest = ['--root', at('root.json'), '--peer', ADDRESS]
    const target = ['--at', '2', '--group', 'g', '--key', 'k', ...rest]
    const { result } = await json('call', 'KV', 'put', 'name', '{"a":[1]}', '5', ...target)
    assert.deepEqual(result, ['name', { a: [1] }, 5])
    assert.deepEqual(fleet.calls.at(-1), {
      class: 'KV',
      version: 2,
      method: 'put',
      args: ['name', { a: [1] }, 5],
      to: { group: 'g', key: 'k' },
      timeoutMs: 10_000
    })
    assert.equal((await json('call', 'KV', 'size', '--at', '1', ...rest)).result, '7')
    await refused('Usage', 'call', 'KV', 'size', ...rest)
    await refused('Usage', 'call', 'KV', 'size', '--at', 'two', ...rest)
    await refused('Usage', 'call', 'KV', 'get', '{"a"', '--at', '1', ...rest)
    for (const [text, value] of [
      ['true', true],
      ['truth', 'truth'],
      ['1e3', 1000],
      ['12ab', '12ab'],
      ['"x"', 'x'],
      ['', '']
    ] as const) {
      assert.equal(argumentOf(text), value)
    }
  })

  it('C1: a wrong command line is one line, code 2; connections are closed', async () => {
    for (const args of [['nonsense'], ['sign'], ['pack'], ['status', '--nonsense'], ['call', 'A', 'b', '--at', '0']]) {
      await refused('Usage', ...args)
      assert.equal((await upstart(...args)).code, 2)
    }
    assert.equal((await upstart('--version')).out, '1.2.3\n')
    assert.match((await upstart('pack', '--help')).out, /--parent/)
    assert.equal((await upstart()).code, 2)
    assert(fleet.closed > 10)
  })
})
