/** What people do to a fleet, by the command lines that they would type: keys, root, rosters, pack, sign, inject. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Connect } from '../../node/cli/connection.ts'
import { run } from '../../node/cli/program.ts'
import { createClient } from '../../node/client.ts'
import { RELEASE } from '../../node/daemon/release.ts'

const EXAMPLE = fileURLToPath(new URL('../../examples/kv/', import.meta.url))
const connect: Connect = (root, peers) => createClient({ root, peers })

export class Operator {
  readonly #directory: string
  readonly #say: (line: string) => void

  /** @param say told of each command, as a person would type it */
  constructor(directory: string, say: (line: string) => void) {
    this.#directory = directory
    this.#say = say
  }

  get root(): string {
    return this.#path('root.json')
  }

  /** Upgrades are released by two of three people; one operator makes statements. */
  async found(): Promise<void> {
    await mkdir(this.#directory, { recursive: true })
    for (const name of ['root', 'alice', 'bob', 'carol', 'operator']) await this.#upstart('keygen', this.#path(name))
    const release = ['alice', 'bob', 'carol'].map((name) => this.#path(`${name}.pub`))
    const roles = [
      '--root',
      this.#path('root.pub'),
      '--release',
      `2:${release}`,
      '--operator',
      this.#path('operator.pub')
    ]
    await this.#upstart('root', 'new', '--open', ...roles, '--sign', this.#path('root'), '--out', this.root)
  }

  async roster(group: string, members: readonly string[], peer: string): Promise<void> {
    const who = ['--group', group, '--members', members.join(','), '--number', '1']
    await this.#upstart('roster', ...who, '--root', this.root, '--sign', this.#path('operator'), '--peer', peer)
  }

  /** Packs a version of the example, has two people sign it one after the other, and gives it to one peer. */
  async release(version: number, peer: string, source = join(EXAMPLE, `v${version}`)): Promise<void> {
    const file = this.#path(`v${version}.upgrade`)
    const parent = version === 1 ? [] : ['--parent', this.#path(`v${version - 1}.upgrade`)]
    // Its check takes longer than all that is shown here: `upstart check` is for that.
    const built = ['--root', this.root, ...parent, '--no-check', '--out', file]
    await this.#upstart('pack', source, ...built)
    for (const name of ['alice', 'bob'])
      await this.#upstart('sign', file, '--root', this.root, '--key', this.#path(name))
    await this.#upstart('inject', file, '--root', this.root, '--peer', peer)
  }

  /** A statement, like `approve 2` or `pause`, given to one peer. */
  async state(peer: string, ...said: string[]): Promise<void> {
    await this.#upstart(...said, '--root', this.root, '--sign', this.#path('operator'), '--peer', peer)
  }

  #path(name: string): string {
    return join(this.#directory, name)
  }

  async #upstart(...args: string[]): Promise<void> {
    const said: string[] = []
    const keep = (text: string): void => void said.push(text)
    const code = await run(args, { connect, release: RELEASE, terminal: { out: keep, error: keep } })
    if (code !== 0) throw new Error(`upstart ${args.join(' ')} failed: ${said.join('').trim()}`)
    this.#say(this.#typed(args))
  }

  /** Without the directories, and without a peer's whole address. */
  #typed(args: readonly string[]): string {
    const shown = args.map((arg) =>
      arg
        .replaceAll(`${this.#directory}/`, '')
        .replace(EXAMPLE, 'examples/kv/')
        .replace(/\/p2p\/.*(.{6})$/, '/p2p/…$1')
        .replace(/12D3Koo\w+(\w{6}),.*/, '…$1,…')
    )
    return `upstart ${shown.join(' ')}`
  }
}
