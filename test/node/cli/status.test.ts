/** What operators see of a roll-out and of one node, on a screen of 80 columns and as JSON (SPEC C8, C13 to C15). */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../../node/cli/program.ts'
import { statusText } from '../../../node/cli/table.ts'
import type { Evidence } from '../../../node/daemon/evidence.ts'
import { openTrust } from '../../../src/upgrade/trust.ts'
import { ADDRESS, FakeFleet, MEMBERS } from './fake-fleet.ts'

const [FIRST, SECOND] = MEMBERS as [string, string]
const OTHER = '12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq'

describe('status and explain', () => {
  let directory: string
  let fleet: FakeFleet

  const upstart = async (...args: string[]) => {
    let [out, error] = ['', '']
    const terminal = {
      out: (text: string) => {
        out += text
      },
      error: (text: string) => {
        error += text
      },
      columns: () => 80
    }
    const online = [...args, '--root', join(directory, 'root.json'), '--peer', ADDRESS]
    const code = await run(online, { connect: fleet.connect, release: '1.2.3', terminal })
    return { code, out, error }
  }
  const json = async (...args: string[]): Promise<any> => {
    const { code, out } = await upstart(...args, '--json')
    assert.equal(code, 0, out)
    return JSON.parse(out)
  }
  const signed = (...args: string[]) => json(...args, '--sign', join(directory, 'key'))
  const second = () => fleet.status.peers[1]!.objects['IntSet']!

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-status-'))
    const at = (name: string) => join(directory, name)
    fleet = new FakeFleet()
    const terminal = { out: () => undefined, error: (text: string) => assert.fail(text) }
    const init = { connect: fleet.connect, release: '1', terminal }
    await run(['keygen', at('key')], init)
    await run(['root', 'new', '--open', '--root', at('key.pub'), '--sign', at('key'), '--out', at('root.json')], init)
  })
  beforeEach(() => {
    fleet = new FakeFleet()
    fleet.trust = openTrust(readFileSync(join(directory, 'root.json')))
  })
  after(() => rm(directory, { recursive: true, force: true }))

  it('Q26: what a rehearsal of a pending version took, until every peer known runs it', async () => {
    const [first] = fleet.status.log
    const took = { transformMs: 12_000, startMs: 400, neededBytes: 340 * 1024 ** 2, peakMemoryBytes: 90 * 1024 ** 2 }
    fleet.status.log.push({ ...first!, version: 2, rehearsed: [{ object: 'IntSet', ...took }] })
    const line =
      /version 2 was rehearsed: IntSet without service for 13s, of it the TF 12s; 340 MiB of space, 90 MiB of memory/
    assert.match(statusText(fleet.status), line)
    const [object] = fleet.status.tally.objects
    object!.versions = object!.versions.map((one) => ({ ...one, run: one.version === 2 ? 2 : 0 }))
    assert.doesNotMatch(statusText(fleet.status), /rehearsed/)
  })

  it('C8: what a peer says of itself does not steer the terminal', async () => {
    second().reason = '\u001b[2Jgone\r\u009b1m'
    for (const command of [['status'], ['explain', SECOND]]) {
      const { out } = await upstart(...command)
      assert.match(out, /gone/)
      assert.doesNotMatch(out, /[^\P{Cc}\n]/u)
    }
  })

  it('C8: how many run, simulate and failed each version, the phases, the pace, and who failed why', async () => {
    const [object] = fleet.status.tally.objects
    Object.assign(object!, { perMinute: 3.25, leftMs: 90_000 })
    second().failed = [{ version: 2, reason: 'IntSet: its TF threw' }]
    const { out } = await upstart('status')
    assert.match(out, /^OBJECT +VERSION +RUN +SIMULATE +FAILED +ON THEIR WAY$/m)
    assert.match(out, /^IntSet +2 +0 +2 +- +2 waiting$/m)
    assert.match(out, /^IntSet +1 +2 +- +-$/m)
    assert.match(out, /^IntSet: 3\.3 a minute; the rest in about 90s at this rate$/m)
    assert.match(out, /^failed: …\S+ at IntSet 2: IntSet: its TF threw$/m)
    assert.match(out, /2 peers, all known here/)
  })

  it('C8: who paused what, for whom, until when, with which key', async () => {
    fleet.status.pauses[0]!.of = { labels: { region: 'eu' } }
    const { out } = await upstart('status')
    const said = out.replaceAll(/\n +/g, ' ')
    assert.match(
      said,
      /paused: every upgrade where region=eu until 2090-\S+ \(lunch\), by key cccccccc, holds 1 here; lift with "upstart resume b{16}"/
    )
  })

  it('C13: nothing is wider than the screen, and in a pipe nothing is cut', async () => {
    second().reason = `has no ${'very '.repeat(40)}long reason`
    for (const { out } of [await upstart('status'), await upstart('explain'), await upstart('explain', SECOND)])
      for (const line of out.split('\n')) assert.ok(line.length <= 80, line)
    assert.ok(statusText(fleet.status).includes('very long reason'))
  })

  it('C8: of a large fleet those are listed that are not through, unless all are asked for', async () => {
    const [first] = fleet.status.peers
    const idle = { ...first!.objects['IntSet']!, phase: 'idle' as const, target: 0, reason: '', highest: 1 }
    const others = Array.from({ length: 50 }, (_, at) => `12D3KooWX${String(at).padStart(3, '1')}`)
    const through = others.map((peer) => ({ ...first!, peer, self: false, objects: { IntSet: idle } }))
    fleet.status.peers = [...fleet.status.peers, ...through]
    const { out } = await upstart('status')
    assert.match(out, /and 50 that are through \(--all shows them\)/)
    assert.equal((await upstart('status', '--all')).out.split('\n').length - out.split('\n').length, 50 - 2)
  })

  it('C8: in a large fleet the counts are the census’s, and it says so', async () => {
    Object.assign(fleet.status.tally, { by: 'census', ageMs: 120_000 })
    fleet.status.tally.objects[0]!.peers = 10_400
    const said = (await upstart('status')).out.replaceAll(/\n +/g, ' ')
    assert.match(said, /of about 10400 peers, by the census .* in the last 2m .*phases and failures are of the 2 known/)
    fleet.status.tally.by = 'sample'
    assert.match((await upstart('status')).out, /of the 2 peers known here; the census of the others is not here yet/)
  })

  it('R7: whether the newest past version may be retired, who needs it, when it was last called', async () => {
    const [entry] = fleet.status.log
    const said = async (evidence: Partial<Evidence>) => {
      entry!.evidence = { callers: [], behind: [], lastCall: null, ...evidence }
      return (await upstart('status')).out.replaceAll(/\n +/g, ' ')
    }
    const last = { peer: SECOND, object: 'IntSet', version: 1, heardAt: fleet.status.at }
    assert.match(await said({ behind: [last, last] }), /version 1 is still needed: \S+ and 1 more still run IntSet 1\n/)
    assert.match(
      await said({ lastCall: '2030-01-01T10:00:00.000Z' }),
      /still called by programs outside .* 2030-01-01T10/
    )
    assert.match(await said({ lastCall: '2029-12-20T10:00:00.000Z' }), /may be retired: .*last called 13d ago/)
    assert.match(
      await said({}),
      /version 1 may be retired: no class in force calls it, nobody known is behind it; no call/
    )
  })

  it('C14: why it waits, since when, for whom and what those are at, and what can be done', async () => {
    const waiting = second()
    Object.assign(waiting, { since: Date.parse(fleet.status.at) / 1000 - 240, why: { kind: 'permit', peers: [FIRST] } })
    Object.assign(fleet.status.peers[0]!.objects['IntSet']!, { phase: 'transforming', serving: false })
    const { out } = await upstart('explain', SECOND.slice(-6))
    assert.match(out, new RegExp(`^${SECOND}$`, 'm'))
    assert.match(out, /IntSet runs version 1, on its way to version 2/)
    assert.match(out, /waiting for 4m \(since 2030-01-01 11:56:00Z\)/)
    assert.match(out, /because: one member of g is down/)
    assert.match(out, /for …\S+: IntSet 1→2, transforming, does not serve/)
    assert.match(out, /upstart exclude/)
    const said = await json('explain', SECOND)
    assert.deepEqual([said.peer, said.asked, said.objects[0].kind], [SECOND, FIRST, 'permit'])
    assert.deepEqual(said.objects[0].waitsFor, [{ peer: FIRST, doing: 'IntSet 1→2, transforming, does not serve' }])
  })

  it('C14: a pause, an approval, a failure and a condition each name their mend', async () => {
    const mends = async (change: object) => {
      Object.assign(second(), { failed: [], why: undefined }, change)
      return (await json('explain', SECOND)).objects[0].mends.join('\n')
    }
    const why = (kind: string, statement?: string) => ({ why: { kind, peers: [], statement } })
    assert.match(await mends(why('pause', 'b'.repeat(64))), /upstart resume b{16}/)
    assert.match(await mends(why('manual')), /upstart approve 2/)
    assert.match(await mends(why('canary')), /upstart hasten 2/)
    assert.match(await mends({ failed: [{ version: 2, reason: 'x' }] }), new RegExp(`upstart retry 2 --node ${SECOND}`))
  })

  it('C14: a peer that is not known there is looked for at its neighbours, else the refusal says where to ask', async () => {
    const elsewhere = structuredClone(fleet.status)
    elsewhere.peer = SECOND
    elsewhere.peers.push({ ...elsewhere.peers[1]!, peer: OTHER })
    fleet.status.neighbours = [SECOND]
    fleet.status.peers[1]!.addresses = [`${ADDRESS.slice(0, ADDRESS.indexOf('/p2p/'))}/p2p/${SECOND}`]
    const own = fleet.status
    const { connect } = fleet
    fleet.connect = async (_root?: Uint8Array, peers?: readonly string[]) => {
      const connection = await connect()
      return { ...connection, status: async () => (peers?.[0]?.endsWith(SECOND) ? elsewhere : own) }
    }
    assert.equal((await json('explain', OTHER)).asked, SECOND)
    const { code, error } = await upstart('explain', 'nobody1234')
    assert.equal(code, 1)
    assert.match(error, /^upstart: Unreachable: peer nobody1234 is not known at \S+, \S+; .*give the address.*\n$/)
    const short = await upstart('explain', 'abc')
    assert.equal(short.code, 2)
  })

  it('C18: history tells in order what was decided by whom, and how the node upgraded', async () => {
    const key = 'abcdef01'.padEnd(64, '0')
    const hash = 'a'.repeat(64)
    const common = { format: 1 as const, fleet: hash, sequence: 1 }
    fleet.history.items = [
      { kind: 'entry', at: null, version: 1, hash, description: 'sets\nmore', keys: [key] },
      {
        kind: 'statement',
        at: '2030-01-01T11:00:00.000Z',
        hash: 'b'.repeat(64),
        keys: [key],
        statement: { ...common, what: 'pause', target: null, note: 'lunch' }
      },
      {
        kind: 'upgrade',
        at: '2030-01-01T12:00:00.000Z',
        object: 'IntSet',
        from: 1,
        version: 2,
        entry: hash,
        result: 'failed',
        reason: 'its TF threw',
        endedAt: 1,
        phases: { waiting: 90_000, transforming: 2_500 }
      }
    ]
    const { out } = await upstart('history')
    assert.match(out, /^earlier +entry 1 a{16}: sets; by key abcdef01$/m)
    assert.match(
      out.replaceAll(/\n +/g, ' '),
      /^2030-01-01 11:00:00 +b{16}: every upgrade is paused \(lunch\); by key abcdef01$/m
    )
    assert.match(
      out.replaceAll(/\n +/g, ' '),
      /^2030-01-01 12:00:00 +IntSet 1→2 failed here: its TF threw \(waiting 90s, transforming 3s\)$/m
    )
    assert.equal((await json('history', '--last', '1')).items.length, 1)
    assert.match((await upstart('history', '--last', '1')).out, /^… 2 before these/)
  })

  it('C15: hold is a pause of a node or a label, release lifts just that', async () => {
    const { statement } = await signed('hold', SECOND.slice(-8))
    assert.deepEqual([statement.what, statement.target, statement.of], ['pause', null, { peer: SECOND }])
    const eu = (await signed('hold', 'region=eu', '--upgrade', '1')).statement
    assert.deepEqual([eu.target, eu.of], ['a'.repeat(64), { labels: { region: 'eu' } }])
    const nothing = await upstart('release', 'region=eu', '--sign', join(directory, 'key'))
    assert.match(nothing.error, /^upstart: Usage: nothing holds just region=eu; in force: b{16}/)
    const [pause] = fleet.status.pauses
    fleet.status.pauses.push({ ...pause!, hash: 'd'.repeat(64), of: { labels: { region: 'eu' } } })
    assert.equal((await signed('release', 'region=eu')).statement.lifts, 'd'.repeat(64))
    fleet.status.pauses.push({ ...pause!, hash: 'e'.repeat(64), of: { labels: { region: 'eu' } } })
    const several = await upstart('release', 'region=eu', '--sign', join(directory, 'key'))
    assert.match(several.error, /several hold region=eu: .*d{16}, e{16}/)
    assert.equal((await upstart('hold', 'nobody1234', '--sign', join(directory, 'key'))).code, 2)
  })

  it('C7: --node takes the end of a peer’s id as status shows it, and refuses who is not known', async () => {
    assert.equal((await signed('retry', '1', '--node', `…${SECOND.slice(-8)}`)).statement.peer, SECOND)
    assert.deepEqual((await signed('pause', '--node', SECOND.slice(-8))).statement.of, { peer: SECOND })
    const unknown = await upstart('retry', '1', '--node', 'nobody1234', '--sign', join(directory, 'key'))
    assert.match(unknown.error, /^upstart: Usage: nobody1234 is no peer that \S+ knows .*whole id/)
  })
})
