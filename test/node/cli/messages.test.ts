/**
 * What the two programs say when something is wrong (SPEC C1, C11), as they are started by users: one line with what, where and
 * the mend, the right stream, the exit code, and the same as JSON. Most cases need no fleet; the others share one peer. What a
 * process adds, its streams and its exit code, is looked at once for each command and code; the other texts come from the same
 * program in this process.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { run } from '../../../node/cli/program.ts'
import { createClient } from '../../../node/client.ts'
import { RELEASE } from '../../../node/daemon/release.ts'
import { until } from '../daemon/live-fleet.ts'
import { COLOR_SET, INT_SET, type Sources, writeSources } from '../pack/sets.ts'
import { CASES, type Case, sign } from './mistakes.ts'

const BIN = resolve(import.meta.dirname, '../../../node/bin')
/** Processes at once: a start is most of a case's time, and half of it is waiting. */
const AT_ONCE = 3

interface Ended {
  code: number
  out: string
  error: string
}

describe('what the programs say when something is wrong (C1, C11)', function () {
  this.timeout(240_000)
  let directory: string
  let peer: ChildProcess
  /** What stands for `@peer`, `@port` and `@id`. */
  const places = { peer: '', port: '', id: '' }
  const said = new Map<Case, Ended>()
  const at = (name: string): string => join(directory, name)
  const placed = (text: string): string =>
    text.replace('@peer', places.peer).replace('@port', places.port).replace('@id', places.id)

  function start({ program = 'upstart', args }: Pick<Case, 'program' | 'args'>): Promise<Ended> {
    const { promise, resolve: end } = Promise.withResolvers<Ended>()
    // What the fleet's own environment says must not help.
    const env = { ...process.env, UPSTART_ROOT: undefined, UPSTART_PEER: undefined }
    const line = [join(BIN, `${program}.js`), ...args.map(placed)]
    const child = execFile(process.execPath, line, { cwd: directory, env, timeout: 60_000 }, (_, out, error) =>
      end({ code: child.exitCode ?? -1, out, error })
    )
    return promise
  }

  const upstart = async (...args: string[]): Promise<void> => {
    const { code, error } = await inProcess(args)
    assert.equal(code, 0, `upstart ${args.join(' ')}: ${error}`)
  }

  /** The same program without a process of its own. */
  async function inProcess(args: readonly string[]): Promise<Ended> {
    const ended: Ended = { code: 0, out: '', error: '' }
    const terminal = {
      out: (text: string) => {
        ended.out += text
      },
      error: (text: string) => {
        ended.error += text
      }
    }
    const connect = (root: Uint8Array, peers: readonly string[]) => createClient({ root, peers })
    const before = process.cwd()
    process.chdir(directory)
    try {
      ended.code = await run(args.map(placed), { connect, release: RELEASE, terminal })
    } finally {
      process.chdir(before)
    }
    return ended
  }

  async function begin(data: string, listen = '/ip4/127.0.0.1/tcp/0'): Promise<ChildProcess> {
    const line = [join(BIN, 'upstart-peer.js'), '--data', at(data), '--root', at('root.json'), '--listen', listen]
    const child = spawn(process.execPath, line, { stdio: ['ignore', 'pipe', 'ignore'] })
    const [text] = await once(child.stdout!, 'data')
    const { peer: id, addresses } = JSON.parse(String(text))
    Object.assign(places, { id, peer: addresses[0], port: addresses[0].slice(0, addresses[0].indexOf('/p2p/')) })
    return child
  }

  async function makeSources(): Promise<void> {
    const second = COLOR_SET['upgrade.ts']!.replace("rolling({ by: 'group', unavailable: 1 })", '')
    const past = /past: .*\n/
    const version2 = (text: string): Sources => ({ ...COLOR_SET, 'upgrade.ts': text })
    await writeSources(at('v1'), INT_SET)
    await writeSources(at('v2'), version2(second))
    await writeSources(at('noclass'), version2(second.replace('IntSet: {', 'StrSet: {')))
    await writeSources(at('nopast'), version2(second.replace(past, '\n')))
    await writeSources(at('subtype'), version2(second.replace(past, "past: 'subtype',\n")))
    const third = second.replace('version: 2', 'version: 3').replace('IntSet: {', 'ColorSet: {')
    const plain = third.replace(/(becomes|transform|future|spec): .*\n/g, '').replace(past, "past: 'subtype',\n")
    await writeSources(at('v3'), version2(plain))
    const counter =
      "export default class Counter { static methods = { size: 'observer' }; static calls = { IntSet: 1 }; size () { return 1 } }\n"
    const both = "IntSet: { object: './int-set.ts' }, Counter: { object: './counter.ts' }"
    await writeSources(at('two'), {
      ...INT_SET,
      'upgrade.ts': INT_SET['upgrade.ts']!.replace("IntSet: { object: './int-set.ts' }", both),
      'counter.ts': counter
    })
  }

  async function makeFiles(): Promise<void> {
    for (const name of ['me', 'other']) {
      await upstart('keygen', name)
      const out = name === 'me' ? 'root.json' : 'other.json'
      await upstart('root', 'new', '--open', '--root', `${name}.pub`, '--sign', name, '--out', out)
    }
    const one = ['--root', 'root.json', ...sign, '--out']
    await upstart('pack', 'v1', ...one, 'v1.upgrade')
    await upstart('pack', 'v1', ...one, 'second.upgrade', '--expires', '20d')
    await upstart('pack', 'two', ...one, 'two.upgrade')
    await upstart('pack', 'v2', ...one, 'v2.upgrade', '--parent', 'v1.upgrade')
    await upstart('pack', 'v3', ...one, 'v3.upgrade', '--parent', 'v2.upgrade')
    await upstart('pack', 'v1', '--root', 'other.json', '--sign', 'other', '--out', 'other.upgrade')
  }

  /** Directories of a peer that has run, each damaged in its own way. */
  async function makeDamaged(): Promise<void> {
    const copy = async (name: string): Promise<string> => {
      await cp(at('used'), at(name), { recursive: true })
      await chmod(at(name), 0o700)
      return at(name)
    }
    await writeFile(join(await copy('garbage'), 'peer.sqlite'), 'garbage '.repeat(2_000))
    await writeFile(join(await copy('empty'), 'peer.sqlite'), '')
    await rm(join(await copy('nostore'), 'peer.sqlite'))
    await writeFile(join(await copy('badkey'), 'peer.key'), 'no key\n')
    await rm(join(await copy('nokeyfile'), 'peer.key'))
    await writeFile(join(await copy('otherkey'), 'peer.key'), `${'ab'.repeat(32)}\n`)
    await writeFile(join(await copy('badrecord'), 'host', 'processes', '7.json'), 'no record')
    await chmod(await copy('open'), 0o755)
  }

  /** Those of `upstart-peer`, and of each command of `upstart` the first with each exit code. */
  function inProcesses(): Set<Case> {
    const kinds = Map.groupBy(CASES, ({ about, program = 'upstart', args, code }) =>
      program === 'upstart' ? `${args[0]} ${code}` : about
    )
    return new Set([...kinds.values()].map(([first]) => first!))
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-messages-'))
    await makeSources()
    await makeFiles()
    // The peer has run before: a copy of what that left is what others damage.
    peer = await begin('data')
    await upstart('inject', 'v1.upgrade', '--root', 'root.json', '--peer', '@peer')
    const client = await createClient({ root: at('root.json'), peers: [places.peer] })
    await until('version 1 serves', async () => (await client.status()).objects['IntSet']?.serving === true)
    await client.close()
    const ended = once(peer, 'exit')
    peer.kill('SIGTERM')
    await ended
    await mkdir(at('used'), { mode: 0o700 })
    await cp(at('data'), at('used'), { recursive: true })
    peer = await begin('data')
    await makeDamaged()
    const started = inProcesses()
    const left = started.values()
    const next = async (): Promise<void> => {
      for (const one of left) said.set(one, await start(one))
    }
    for (const one of CASES) if (!started.has(one)) said.set(one, await inProcess(one.args))
    await Promise.all(Array.from({ length: AT_ONCE }, next))
  })

  after(async () => {
    const ended = once(peer, 'exit')
    peer.kill('SIGTERM')
    await ended
    await rm(directory, { recursive: true, force: true })
  })

  const matches = (text: string, wanted: string | RegExp, about: string): void => {
    const pattern =
      typeof wanted === 'string' ? placed(wanted).replace(/[.*+?^${}()|[\]\\]/g, '\\$&') : placed(wanted.source)
    assert.match(text, new RegExp(pattern), about)
  }

  for (const one of CASES) {
    const { about, program = 'upstart', name, code, where, mend } = one
    it(about, async () => {
      const ended = said.get(one)!
      assert.equal(ended.out, '', 'failures go to stderr')
      assert.equal(ended.error.trimEnd().split('\n').length, 1, `one line:\n${ended.error}`)
      assert.ok(ended.error.startsWith(`${program}: ${name}: `), ended.error)
      assert.equal(ended.code, code, ended.error)
      matches(ended.error, where, 'where')
      matches(ended.error, mend, 'the mend')
      assert.doesNotMatch(
        ended.error,
        /\bE[A-Z]{5,}\b|undefined|\[object|node_modules|\bat .*:\d+:\d+/,
        'no codes, no stacks'
      )
      if (program !== 'upstart') return
      const json = await inProcess([...one.args, '--json'])
      assert.equal(json.error, '', 'with --json nothing goes to stderr')
      assert.equal(json.code, code)
      const { error } = JSON.parse(json.out)
      assert.equal(error.name, name)
      matches(error.message, mend, 'the mend, as JSON')
    })
  }

  it('without a command, or with half of one, its help is shown, and the exit code is 2', async () => {
    for (const [args, line] of [
      [[], 'Usage: upstart [options] [command]'],
      [['root'], 'Usage: upstart root [options] [command]']
    ] as const) {
      const { code, out, error } = await inProcess(args)
      assert.deepEqual([code, out, error.split('\n')[0]], [2, '', line])
    }
  })

  it('H3: a state that is missing is named, and the object does not begin anew with an empty one', async () => {
    await cp(at('used'), at('nostate'), { recursive: true })
    await chmod(at('nostate'), 0o700)
    await rm(join(at('nostate'), 'objects'), { recursive: true })
    const { peer: before, port, id } = places
    const other = await begin('nostate')
    try {
      const client = await createClient({ root: at('root.json'), peers: [places.peer] })
      const alarms = async () => (await client.status()).alarms
      await until(
        'it is told',
        async () => (await alarms()).some((one) => one.name === 'ObjectFailing'),
        20_000,
        alarms
      )
      const [alarm] = await alarms()
      assert.match(alarm!.text, /state\.sqlite is missing; restore it from a backup/)
      assert.equal((await client.status()).objects['IntSet']?.serving, false)
      await client.close()
    } finally {
      Object.assign(places, { peer: before, port, id })
      const ended = once(other, 'exit')
      other.kill('SIGTERM')
      await ended
    }
  })
})
