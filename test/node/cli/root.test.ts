import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../../node/cli/program.ts'
import { readSigner } from '../../../node/keys.ts'
import { signStatement } from '../../../src/upgrade/entry.ts'
import { MAX_VOUCHED } from '../../../src/upgrade/root.ts'
import type { StatementBody } from '../../../src/upgrade/statement.ts'
import { openTrust } from '../../../src/upgrade/trust.ts'
import { ADDRESS, FakeFleet } from './fake-fleet.ts'

describe('upstart root', () => {
  let directory: string
  let fleet: FakeFleet
  const at = (name: string): string => join(directory, name)
  const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(at(name)))

  const upstart = async (...args: string[]): Promise<{ code: number; out: string; error: string }> => {
    let [out, error] = ['', '']
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
  const json = async (...args: string[]): Promise<any> => {
    const { code, out, error } = await upstart(...args, '--json')
    assert.equal(code, 0, `${args.join(' ')}: ${out}${error}`)
    return JSON.parse(out)
  }
  const refused = async (name: string, ...args: string[]): Promise<string> => {
    const { code, out } = await upstart(...args, '--json')
    assert.notEqual(code, 0, args.join(' '))
    assert.equal(JSON.parse(out).error.name, name, out)
    return JSON.parse(out).error.message
  }
  const pub = (...names: string[]): string => names.map((name) => at(`${name}.pub`)).join()
  const asked = () => ['--root', at('root.json'), '--peer', ADDRESS]

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-root-'))
    fleet = new FakeFleet()
    for (const name of ['anna', 'ben', 'carl', 'old', 'new', 'warden']) await json('keygen', at(name))
    await json(
      ...['root', 'new', '--root', `2:${pub('anna', 'ben')}`, '--operator', pub('old'), '--release', pub('carl')],
      ...['--sign', at('anna'), '--sign', at('ben'), '--out', at('root.json')]
    )
    fleet.trust = openTrust(bytesOf('root.json'))
  })
  after(() => rm(directory, { recursive: true }))

  async function said(sequence: number): Promise<string> {
    const body: StatementBody = {
      format: 1,
      fleet: fleet.trust!.fleet,
      sequence,
      note: '',
      what: 'pause',
      target: null
    }
    const signer = await readSigner(at('old'))
    const statement = fleet.trust!.openStatement(signStatement(body, Date.parse('2090-01-01T00:00:00Z'), [signer]))
    const { hash, keys } = statement
    fleet.signed.push({ what: 'pause', hash, keys: [...keys] })
    return hash
  }

  it('C19: several people hand a fleet over to other keys, one after another, and what was said before stays', async () => {
    const [first, second] = [await said(1), await said(2)]
    const made = await json(
      ...['root', 'rotate', ...asked(), '--holders', `2:${pub('ben', 'carl')}`, '--operator', pub('new')],
      ...['--control', pub('warden'), '--lapse', second.slice(0, 12), '--sign', at('ben'), '--out', at('2.json')]
    )
    assert.deepEqual([made.version, made.complete, made.statements], [2, false, [first]])
    assert.deepEqual(made.signatures, [
      { root: 1, present: 1, threshold: 2 },
      { root: 2, present: 1, threshold: 2 }
    ])
    await refused('UnderThreshold', 'root', 'verify', at('2.json'), '--root', at('root.json'))
    await refused('UnderThreshold', 'inject', at('2.json'), ...asked())
    await refused('WrongSignature', 'sign', at('2.json'), '--key', at('old'), '--root', at('root.json'))
    const alone = await upstart('sign', at('2.json'), '--key', at('anna'))
    assert.match(alone.out, /1 of 2 that root 2 needs; give --root/)
    const signed = await json('sign', at('2.json'), '--key', at('carl'), '--root', at('root.json'))
    assert.deepEqual(
      signed.needs.map((one: any) => one.present),
      [2, 2]
    )
    assert.match(
      (await upstart('root', 'verify', at('2.json'), '--root', at('root.json'))).out,
      /root 2 of fleet .* is signed/
    )
    assert.equal((await json('inject', at('2.json'), ...asked())).hash, made.hash)
    assert.deepEqual(fleet.injected, ['root 2'])
    assert.deepEqual(fleet.trust!.root.rotation!.statements, [first])
  })

  it('C19: tools follow the fleet’s roots from the first one on', async () => {
    await refused('Lapsed', 'pause', ...asked(), '--sign', at('old'))
    await json('pause', ...asked(), '--sign', at('new'))
    await json('pause', ...asked(), '--sign', at('warden'))
    await refused('WrongSignature', 'abort', 'a'.repeat(64), ...asked(), '--sign', at('warden'))
    await json('pause', '--root', at('root.json'), '--sign', at('warden'), '--out', at('pause.json'))
    assert.equal((await json('inject', at('pause.json'), ...asked())).kind, 'statement')
  })

  it('C19: show writes all roots into one file, which every --root takes', async () => {
    const shown = await json('root', 'show', ...asked(), '--out', at('roots.json'))
    assert.deepEqual(
      shown.roots.map((one: any) => one.version),
      [1, 2]
    )
    assert.equal(shown.roots[1].roles.root.threshold, 2)
    assert.match((await upstart('root', 'show', '--root', at('roots.json'))).out, /root 2 .*vouches for 1\n.*release/s)
    assert.equal((await json('root', 'verify', at('roots.json'))).version, 2)
    const signed = await json('sign', at('pause.json'), '--key', at('warden'), '--root', at('roots.json'))
    assert.deepEqual([signed.present, signed.threshold], [1, 1])
    const renewed = [
      'root',
      'rotate',
      '--root',
      at('roots.json'),
      '--expires',
      '30d',
      '--control',
      'none',
      '--lapse-all'
    ]
    const made = await json(...renewed, '--sign', at('ben'), '--sign', at('carl'), '--out', at('3.json'))
    assert.deepEqual([made.version, made.complete, made.statements], [3, true, []])
    await refused('StaleParent', 'root', 'verify', at('3.json'), '--root', at('root.json'))
    assert.equal(
      openTrust(bytesOf('roots.json')).rotated(bytesOf('3.json')).root.metadata.signed.roles['control'],
      undefined
    )
  })

  it('C19: what would be wrong is refused, with the mend', async () => {
    const rotate = ['root', 'rotate', '--root', at('roots.json'), '--out', at('never.json')]
    assert.match(await refused('Usage', ...rotate, '--operator', pub('old')), /give --peer ADDRESS/)
    assert.match(await refused('Usage', ...rotate, '--operator', 'none'), /somebody must hold/)
    assert.match(await refused('Usage', ...rotate, '--peer', ADDRESS, '--lapse', 'abc'), /upstart history/)
    assert.match(await refused('Usage', 'root', 'verify', at('2.json')), /give --root/)
    assert.match(await refused('StaleParent', 'root', 'show', '--root', at('2.json')), /root show --out/)
    assert.match(await refused('Usage', ...rotate, '--vouch'), /give --peer ADDRESS/)
  })

  it('C19: what is more than one root vouches for goes into several, of which the last one changes keys', async () => {
    const rotate = ['root', 'rotate', ...asked(), '--out', at('next.json'), '--sign', at('ben'), '--sign', at('carl')]
    const keys = [(await readSigner(at('new'))).keyid]
    for (let n = 0; n < MAX_VOUCHED + 5; n++)
      fleet.signed.push({ what: 'roster', hash: `f${n.toString(16).padStart(63, '0')}`, keys })
    assert.match(await refused('Oversize', ...rotate, '--operator', pub('carl')), /make one root with .*--vouch/)
    const first = await json(...rotate, '--vouch')
    // The one that lapsed before is among them: what was forgotten can be taken in later.
    assert.deepEqual([first.complete, first.statements.length, first.left], [true, MAX_VOUCHED, 6])
    await json('inject', at('next.json'), ...asked())
    const last = await json(...rotate, '--operator', pub('carl'))
    assert.deepEqual([last.version, last.statements.length, last.left], [4, 6, 0])
  })
})
