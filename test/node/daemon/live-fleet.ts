/** A fleet of real peers for tests: embedded ones in this process, or `upstart-peer` processes; on loopback, in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import {
  type Client,
  type Credentials,
  createClient,
  createPeer,
  type RunningPeer,
  type Status
} from '../../../node/index.ts'
import { loadPeerKey } from '../../../node/network/key.ts'
import { openUpgradeFile, type UpgradeFile } from '../../../node/pack/file.ts'
import { pack } from '../../../node/pack/pack.ts'
import { ownDirectory } from '../../../node/store/directory.ts'
import { type Envelope, signStatement, signTicket } from '../../../src/upgrade/entry.ts'
import type { Manifest } from '../../../src/upgrade/manifest.ts'
import type { StatementBody } from '../../../src/upgrade/statement.ts'
import type { TicketBody } from '../../../src/upgrade/ticket.ts'
import { FAR, type TestFleet, testFleet } from '../../src/upgrade/fleet.ts'

const PROGRAM = fileURLToPath(new URL('../../../node/bin/upstart-peer.js', import.meta.url))
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
export const FIXTURES = fileURLToPath(new URL('../../fixtures/fleet/', import.meta.url))
const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url))

type Said = StatementBody extends infer Body
  ? Body extends unknown
    ? Omit<Body, 'format' | 'fleet' | 'sequence' | 'note'>
    : never
  : never

/** Waits for a condition, looking often. @throws Error naming what did not come, with what `explain` says. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  boundMs = 30_000,
  explain: () => unknown = () => ''
): Promise<void> {
  const end = performance.now() + boundMs
  while (!(await condition())) {
    if (performance.now() > end)
      throw new Error(`${what}: not within ${boundMs} ms. ${JSON.stringify(await explain())}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Every fleet has the same keys, and packing is deterministic (SPEC U9): what was packed once in this process is used again. */
const packed = new Map<string, Uint8Array>()

export interface Daemon {
  process: ChildProcess
  peer: string
  addresses: string[]
  stderr: string[]
}

export class LiveFleet {
  readonly directory: string
  readonly keys: TestFleet
  readonly peers: RunningPeer[] = []
  readonly daemons: Daemon[] = []
  readonly clients: Client[] = []
  readonly entries: Envelope<Manifest>[] = []
  readonly #files: UpgradeFile[] = []
  #sequence = 0

  private constructor(directory: string, keys: TestFleet) {
    this.directory = directory
    this.keys = keys
  }

  /** @param offset of its keys: another one is another fleet */
  static async create(offset = 0, isPrivate = false): Promise<LiveFleet> {
    const directory = await mkdtemp(join(tmpdir(), 'upstart-fleet-'))
    const keys = testFleet(offset, FAR, isPrivate)
    await writeFile(join(directory, 'root.json'), keys.rootBytes)
    return new LiveFleet(directory, keys)
  }

  get bootstrap(): string[] {
    const first = this.peers[0]?.addresses()[0] ?? this.daemons[0]?.addresses[0]
    return first === undefined ? [] : [first]
  }

  async embed(
    name: string,
    group: string | null = 'g0',
    more: {
      classes?: string[]
      labels?: Record<string, string>
      bootstrap?: string[]
      drainMs?: number
      keepMs?: number
      ticket?: string
    } = {}
  ): Promise<RunningPeer> {
    const root = this.keys.rootBytes
    const peer = await createPeer({
      data: join(this.directory, name),
      root,
      group,
      bootstrap: this.bootstrap,
      sandbox: 'none',
      ...more
    })
    this.peers.push(peer)
    return peer
  }

  /** Starts an `upstart-peer` process and waits until it says that it is up. */
  async spawn(
    name: string,
    group = 'g0',
    bootstrap = this.bootstrap,
    more: { namespace?: string; flags?: string[] } = {}
  ): Promise<Daemon> {
    const args = [
      '--data',
      join(this.directory, name),
      '--root',
      join(this.directory, 'root.json'),
      '--group',
      group,
      '--sandbox',
      'none'
    ]
    for (const address of bootstrap) args.push('--bootstrap', address)
    args.push(...(more.flags ?? []))
    const inside = more.namespace === undefined ? [] : ['ip', 'netns', 'exec', more.namespace]
    const [command, ...rest] = [...inside, process.execPath, PROGRAM, ...args]
    const child = spawn(command!, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    const stderr: string[] = []
    createInterface({ input: child.stderr! }).on('line', (line) => stderr.push(line))
    const [line] = await Promise.race([
      once(createInterface({ input: child.stdout! }), 'line') as Promise<[string]>,
      once(child, 'exit').then(([code]) => {
        throw new Error(`upstart-peer ended with ${code}: ${stderr.join('\n')}`)
      })
    ])
    const { peer, addresses } = JSON.parse(line) as { peer: string; addresses: string[] }
    const daemon = { process: child, peer, addresses, stderr }
    this.daemons.push(daemon)
    return daemon
  }

  /** Writes the ticket of a peer that is yet to be started, or of somebody else. @returns its path */
  async admit(name: string, change: Partial<TicketBody> = {}, expires = FAR): Promise<string> {
    ownDirectory(join(this.directory, name))
    const { peer } = await loadPeerKey(join(this.directory, name, 'peer.key'))
    const ticket = {
      format: 1,
      fleet: this.keys.trust.fleet,
      peer,
      number: 1,
      as: 'member',
      classes: null,
      labels: null
    }
    const path = join(this.directory, `${name}.ticket`)
    await writeFile(path, signTicket({ ...ticket, ...change } as TicketBody, expires, [this.keys.admission]))
    return path
  }

  async client(addresses = this.bootstrap, credentials?: Credentials): Promise<Client> {
    const client = await createClient({ root: this.keys.rootBytes, peers: addresses, credentials })
    this.clients.push(client)
    return client
  }

  statement(said: Said, expires = FAR): Uint8Array {
    this.#sequence += 1
    const body = {
      format: 1,
      fleet: this.keys.trust.fleet,
      sequence: this.#sequence,
      note: '',
      ...said
    } as StatementBody
    return signStatement(body, expires, [this.keys.operator])
  }

  /** Signs roster 1 of every group that the client's peer knows of, once it knows `count` peers. */
  async rosters(client: Client, count: number): Promise<void> {
    let status: Status | undefined
    await until(`${count} peers are known`, async () => {
      status = await client.status()
      return status.peers.length === count
    })
    const groups = Map.groupBy(status!.peers, (one) => one.group ?? '')
    for (const [group, members] of groups) {
      await client.injectStatement(
        this.statement({ what: 'roster', group, number: 1, members: members.map((one) => one.peer) })
      )
    }
  }

  /** Packs and signs an upgrade of the examples on top of those packed before. */
  async pack(example: string, source = join(EXAMPLES, example)): Promise<UpgradeFile> {
    const file = await this.packBeside(source, this.entries)
    this.entries.push(file.envelope)
    return file
  }

  /** Packs and signs an upgrade on parents of one's own choice. */
  async packBeside(
    source: string,
    parents: readonly Envelope<Manifest>[],
    rivals: readonly Envelope<Manifest>[] = []
  ): Promise<UpgradeFile> {
    const { fleet } = this.keys.trust
    const out = join(this.directory, `${this.#files.length + 1}.upgrade`)
    const signers = this.keys.release.slice(0, 2)
    const key = [fleet, source, ...parents.map(({ hash }) => hash), '', ...rivals.map(({ hash }) => hash)].join('\n')
    const known = packed.get(key)
    if (known === undefined) await pack({ source, fleet, parents, rivals, expiresMs: FAR, out, signers })
    else await writeFile(out, known)
    // What lies in this fleet's own folder is made by a test, which may make it anew.
    if (known === undefined && !source.startsWith(this.directory)) packed.set(key, await readFile(out))
    const file = await openUpgradeFile(out)
    this.#files.push(file)
    return file
  }

  /** A copy of an upgrade of `test/fixtures/fleet`, with texts of its `upgrade.ts` replaced. @returns its directory */
  async variant(name: string, fixture: string, changes: [string, string][]): Promise<string> {
    const copy = join(this.directory, name)
    await cp(join(FIXTURES, fixture), copy, { recursive: true })
    for (const file of await readdir(copy)) {
      const path = join(copy, file)
      const text = (await readFile(path, 'utf8'))
        .replaceAll('../../../../', ROOT)
        .replaceAll('../../sets/', join(ROOT, 'test/fixtures/sets/'))
        .replaceAll(/'\.\.\/(v\d)\//g, `'${FIXTURES}$1/`)
      const changed = file === 'upgrade.ts' ? changes.reduce((left, [from, to]) => left.replace(from, to), text) : text
      await writeFile(path, changed)
    }
    return copy
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.close()))
    await Promise.all(this.clients.map((client) => client.close()))
    await Promise.all(this.peers.map((peer) => peer.close()))
    for (const { process: child } of this.daemons) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Whether all that a peer knows of run `version` of `object` and serve. */
export const allAt = (status: Status, object: string, version: number, count: number): boolean =>
  status.peers.filter(
    (one) =>
      one.objects[object]?.version === version &&
      one.objects[object]?.serving === true &&
      one.objects[object]?.phase === 'idle'
  ).length === count
