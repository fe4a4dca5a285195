import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { privateKeyFromSeed } from '../../../src/upgrade/keys.ts'
import { LiveFleet, until } from './live-fleet.ts'

const UPSTART = fileURLToPath(new URL('../../../node/bin/upstart.js', import.meta.url))

describe('rotation of the root, real peers and the real command', () => {
  let fleet: LiveFleet
  before(async () => {
    fleet = await LiveFleet.create()
  })
  after(() => fleet.close())

  const at = (name: string): string => join(fleet.directory, name)
  /** Runs the real command line; its answer. */
  async function upstart(...args: string[]): Promise<any> {
    const child = spawn(process.execPath, [UPSTART, ...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] })
    const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
    assert.equal(child.exitCode, 0, `${args.join(' ')}: ${out}${error}`)
    return JSON.parse(out)
  }
  const keyFile = (n: number, name: string): Promise<void> =>
    writeFile(at(name), privateKeyFromSeed(new Uint8Array(32).fill(n)).export({ format: 'pem', type: 'pkcs8' }))

  it('T13, C19: a root that is handed to one peer reaches all, those that come later too, and outlives a restart', async () => {
    const first = await fleet.embed('a')
    const second = await fleet.embed('b')
    const client = await fleet.client()
    const members = [first.id]
    await client.injectStatement(fleet.statement({ what: 'roster', group: 'g1', number: 1, members }))
    // The test fleet's root key, and a new operator.
    await Promise.all([keyFile(1, 'holder.key'), keyFile(77, 'new.key')])
    const online = ['--root', at('root.json'), '--peer', fleet.bootstrap[0]!]
    const made = await upstart(
      ...['root', 'rotate', ...online, '--operator', at('new.key'), '--sign', at('holder.key')],
      ...['--out', at('2.json')]
    )
    assert.deepEqual([made.version, made.complete, made.statements.length], [2, true, 1])
    await upstart('inject', at('2.json'), ...online)
    await until('both trust root 2', () => [first, second].every((peer) => peer.status().root.version === 2))
    assert.deepEqual(second.status().root.lapsed, [])
    await assert.rejects(client.injectStatement(fleet.statement({ what: 'pause', target: null })), { name: 'Lapsed' })
    await upstart('roster', ...online, '--group', 'g2', '--members', first.id, '--sign', at('new.key'))
    // It is given the first root only.
    const late = await fleet.embed('c')
    await until('the late one has all', () => late.status().root.version === 2 && late.status().rosters.length === 2)
    await second.close()
    fleet.peers.splice(fleet.peers.indexOf(second), 1)
    const again = await fleet.embed('b')
    assert.equal(again.status().root.version, 2, 'before it has heard of anybody')
    const shown = await upstart('root', 'show', ...online, '--out', at('roots.json'))
    assert.equal(shown.roots.length, 2)
    assert.equal(JSON.parse(await readFile(at('roots.json'), 'utf8')).length, 2)
  })
})
