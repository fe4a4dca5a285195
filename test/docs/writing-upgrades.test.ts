/** The tutorial is true: its files compile, its commands run one after the other, and print what it shows. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join, resolve } from 'node:path'
import type { Connect } from '../../node/cli/connection.ts'
import { run as upstart } from '../../node/cli/program.ts'
import { createClient, createPeer, type RunningPeer } from '../../node/index.ts'
import { until } from '../node/daemon/live-fleet.ts'
import { type Block, blocksOf, commandsOf, type Ended, isAsShown, shell } from './pages.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PAGE = join(ROOT, 'docs/writing-upgrades.md')

/** Commands that talk to a peer. */
const ONLINE = /^upstart (roster|inject|status|call|retire|forget)\b/
/** Those of them that change nothing: what they show comes in time, and they are asked again until it does. */
const LOOKING = /^upstart (status|call \w+ (isInvited|tableOf|mayEnter))\b/

describe('docs/writing-upgrades.md', function () {
  this.timeout(180_000)
  let directory: string
  let blocks: Block[]
  let environment: NodeJS.ProcessEnv
  const peers: RunningPeer[] = []

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-docs-'))
    blocks = blocksOf(await readFile(PAGE, 'utf8'))
    const bin = join(directory, '.bin')
    await mkdir(bin)
    await symlink(join(ROOT, 'node/bin/upstart.js'), join(bin, 'upstart'))
    const path = [bin, dirname(process.execPath), process.env['PATH']].join(delimiter)
    environment = { ...process.env, PATH: path, NODE_COMPILE_CACHE: join(directory, '.compiled') }
    // An author's own directory: a package of ES modules that has this one installed.
    await writeFile(join(directory, 'package.json'), '{ "type": "module" }\n')
  })
  after(async () => {
    await Promise.all(peers.map((peer) => peer.close()))
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  })

  const place = ({ line }: Block): string => `docs/writing-upgrades.md:${line}`

  /** A file that takes the place of an earlier one leaves that beside it: both are to compile. */
  async function write(block: Block): Promise<void> {
    const name = /^\/\/ (\S+\.ts)$/.exec(block.text.split('\n')[0]!)?.[1]
    assert(name, `${place(block)}: the first line names the file`)
    const path = join(directory, name)
    await mkdir(dirname(path), { recursive: true })
    if (existsSync(path)) await rename(path, join(dirname(path), `former-${basename(path)}`))
    await writeFile(path, `${block.text}\n`)
  }

  async function startFleet(): Promise<void> {
    const first = await embed('p1', [])
    await embed('p2', first.addresses())
    await until('the peers know each other', () => peers.every((peer) => peer.status().peers.length === 2))
    // The status shows peers by name, and the page one that was called first.
    peers.sort((a, b) => a.status().peer.localeCompare(b.status().peer))
  }
  async function embed(name: string, bootstrap: string[]): Promise<RunningPeer> {
    const root = join(directory, 'root.json')
    const data = join(directory, name)
    const peer = await createPeer({ data, root, group: 'venues', bootstrap, sandbox: 'none' })
    peers.push(peer)
    return peer
  }

  /** `export NAME=VALUE …`, with … for what only a running fleet knows. */
  async function assign(assignments: string): Promise<void> {
    for (const [, name, value] of assignments.matchAll(/(\w+)=(\S+)/g)) {
      if (value!.endsWith('…') && peers.length === 0) await startFleet()
      const known: Record<string, string> = {
        UPSTART_PEER: peers[0]?.addresses()[0] ?? '',
        VENUE: peers[0]?.status().peer ?? ''
      }
      environment[name!] = value!.endsWith('…') ? known[name!] : value
      assert(environment[name!], `nothing is known for ${name}`)
    }
  }

  /** In this process: twenty starts of the program would be most of the test. */
  async function online(command: string): Promise<Ended> {
    const words = [...command.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word)
    const known = words.slice(1).map((word) => word.replace(/^\$(\w+)$/, (_, name: string) => environment[name] ?? ''))
    const args = known.map((word) => (existsSync(join(directory, word || '-')) ? join(directory, word) : word))
    const fleet = ['--root', join(directory, environment['UPSTART_ROOT']!), '--peer', environment['UPSTART_PEER']!]
    let text = ''
    const say = (part: string) => {
      text += part
    }
    const connect: Connect = (root, addresses) => createClient({ root, peers: addresses })
    const code = await upstart([...args, ...fleet], { connect, release: '0', terminal: { out: say, error: say } })
    return { code, text }
  }

  async function run(block: Block): Promise<void> {
    const code = Number(/^exits (\d)$/.exec(block.info)?.[1] ?? 0)
    for (const { command, output } of commandsOf(block)) {
      if (command.startsWith('export ')) {
        await assign(command.slice('export '.length))
        continue
      }
      let ended: Ended | undefined
      const isShown = async (): Promise<boolean> => {
        ended = await (ONLINE.test(command) ? online(command) : shell(command, directory, environment))
        return ended.code === code && isAsShown(output, ended.text)
      }
      const difference = () =>
        `${place(block)}: $ ${command}\nshown, exit code ${code}:\n${output}\nprinted, exit code ${ended?.code}:\n${ended?.text}`
      if (LOOKING.test(command)) await until('what is shown', isShown, 60_000, difference)
      else assert(await isShown(), difference())
    }
  }

  it('its commands print what it shows', async () => {
    for (const block of blocks) {
      if (block.language === 'ts') await write(block)
      else if (block.language === 'sh') await run(block)
      else assert.fail(`${place(block)}: a block of ${block.language || 'no language'} is run by nobody`)
    }
    assert(blocks.filter((one) => one.language === 'ts').length >= 8)
    assert(peers.length > 0)
  })

  it('its files compile, those that are found wrong too', async () => {
    const { compilerOptions } = JSON.parse(await readFile(join(ROOT, 'tsconfig.json'), 'utf8'))
    const paths = {
      'upstart-peer': [join(ROOT, 'src/index.ts')],
      'upstart-peer/spec': [join(ROOT, 'src/spec/index.ts')]
    }
    const types = { typeRoots: [join(ROOT, 'node_modules/@types')], types: ['node'] }
    const config = {
      compilerOptions: { ...compilerOptions, ...types, paths, rootDir: '/' },
      include: ['v1', 'v2', 'v3', 'v4']
    }
    await writeFile(join(directory, 'tsconfig.json'), JSON.stringify(config))
    const { code, text } = await shell(`${join(ROOT, 'node_modules/.bin/tsc')} -p .`, directory, environment)
    assert.equal(code, 0, text)
  })

  it('its future SO says what version 1 means in the words of version 2 (no check of two versions asks it)', async () => {
    const { default: Future } = await import(join(directory, 'v2/future-seating-plan.ts'))
    const delegate = { isInvited: async (name: string) => name === 'ann' }
    const effects = (method: string, name: string) => new Future({ delegate }).effects(method, [name])
    assert.deepEqual(await effects('invite', 'ann'), [])
    assert.deepEqual(await effects('invite', 'bob'), [['seat', 'bob', 'open']])
    assert.deepEqual(await effects('cancel', 'ann'), [['cancel', 'ann']])
  })

  it('what is shown is held against what is printed: one letter more, and it does not hold', () => {
    assert(isAsShown('a … c\n…\ne', 'a b c\nd\nd\ne'))
    assert(isAsShown('a\n…\ne', 'a\ne'))
    assert(!isAsShown('a … c\n…\ne', 'a b c\nd\nd\nee'))
    assert(!isAsShown('a.c', 'abc'))
    assert(!isAsShown('a', 'a\nb'))
    assert(!isAsShown('', 'a'))
  })
})
