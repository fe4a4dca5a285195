/** The two programs as users start them: `upstart` against one real `upstart-peer`. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Status } from '../../../node/daemon/status.ts'
import { COLOR_SET, INT_SET, writeSources } from '../pack/sets.ts'

const BIN = resolve(import.meta.dirname, '../../../node/bin')
const BOUND_MS = 60_000

interface Ended {
  code: number | null
  out: string
  error: string
}

describe('upstart and upstart-peer', function () {
  this.timeout(150_000)
  let directory: string
  let peer: ChildProcess
  const environment: NodeJS.ProcessEnv = { ...process.env }

  const upstart = async (...args: string[]): Promise<Ended> => {
    const child = execFile(process.execPath, [join(BIN, 'upstart.js'), ...args], { cwd: directory, env: environment })
    let out = ''
    let error = ''
    child.stdout!.on('data', (text) => {
      out += text
    })
    child.stderr!.on('data', (text) => {
      error += text
    })
    const [code] = await once(child, 'close')
    return { code, out, error }
  }
  const json = async (...args: string[]): Promise<any> => {
    const { code, out, error } = await upstart(...args, '--json')
    assert.equal(code, 0, `${args.join(' ')}: ${out}${error}`)
    return JSON.parse(out)
  }
  /** Looks until the peer serves this version, and fails with what it said last. */
  const serves = async (version: number): Promise<void> => {
    const end = performance.now() + BOUND_MS
    for (;;) {
      const { objects } = (await json('status')) as Status
      const found = objects['IntSet']
      if (found?.version === version && found.serving) return
      assert(performance.now() < end, `not at version ${version} in time: ${JSON.stringify(objects)}`)
      await delay(200)
    }
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-main-'))
    await writeSources(join(directory, 'v1'), INT_SET)
    await writeSources(join(directory, 'v2'), {
      ...COLOR_SET,
      'upgrade.ts': COLOR_SET['upgrade.ts']!.replace("rolling({ by: 'group', unavailable: 1 })", '')
    })
    await json('keygen', 'me.key')
    await json('root', 'new', '--open', '--root', 'me.key.pub', '--sign', 'me.key')
    const flags = [
      '--data',
      join(directory, 'data'),
      '--root',
      join(directory, 'root.json'),
      '--listen',
      '/ip4/127.0.0.1/tcp/0'
    ]
    peer = spawn(process.execPath, [join(BIN, 'upstart-peer.js'), ...flags], { stdio: ['ignore', 'pipe', 'ignore'] })
    const [line] = await once(peer.stdout!, 'data')
    environment['UPSTART_ROOT'] = 'root.json'
    environment['UPSTART_PEER'] = JSON.parse(String(line)).addresses[0]
  })
  after(async () => {
    const ended = once(peer, 'exit')
    peer.kill('SIGTERM')
    await ended
    await rm(directory, { recursive: true })
  })

  it('C5, C6, C8, C9: an incompatible upgrade from sources to calls at both versions', async () => {
    await json('pack', 'v1', '--sign', 'me.key')
    await json('inject', 'v1.upgrade')
    await serves(1)
    await json('call', 'IntSet', 'insert', '1', '--at', '1')
    assert.equal((await json('call', 'IntSet', 'contains', '1', '--at', '1')).result, true)
    await json('pack', 'v2', '--parent', 'v1.upgrade', '--sign', 'me.key')
    await json('inject', 'v2.upgrade')
    await serves(2)
    assert.equal((await json('call', 'ColorSet', 'getColor', '1', '--at', '2')).result, 'none')
    assert.equal((await json('call', 'IntSet', 'contains', '1', '--at', '1')).result, null)
  })

  it('C1: errors of a peer keep their names', async () => {
    const call = await upstart('call', 'ColorSet', 'vanish', '--at', '2', '--json')
    assert.deepEqual([call.code, JSON.parse(call.out).error.name], [1, 'NoSuchMethod'])
    const plain = await upstart('call', 'ColorSet', 'vanish', '--at', '2')
    assert.match(plain.error, /^upstart: NoSuchMethod: .*\n$/)
    const again = await json('inject', 'v2.upgrade')
    assert.equal(again.version, 2)
    const gone = await upstart('status', '--peer', environment['UPSTART_PEER']!.replace(/tcp\/\d+/, 'tcp/1'), '--json')
    assert.deepEqual([gone.code, JSON.parse(gone.out).error.name], [1, 'Unreachable'])
  })
})
