/**
 * Two network namespaces with a wire between them, for tests of partitions and multicast: nothing leaves them. Each side
 * has an address of its own that lives on while the wire is cut. Needs root and iproute2.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { CallRequest, Status } from '../../../node/index.ts'

const CLIENT = fileURLToPath(new URL('../../fixtures/namespace/client.ts', import.meta.url))

/** Throws what `ip` says. */
function ip(...args: string[]): string {
  return execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' })
}

/** The hardware address of the wire's end in a namespace. */
function ending(namespace: string): string {
  const [link] = JSON.parse(ip('-n', namespace, '-json', 'link', 'show', 'wire')) as [{ address: string }]
  return link.address
}

export interface Side {
  readonly namespace: string
  /** The address of this side, reachable from the other while the wire is whole. */
  readonly address: string
}

export class TwoSides {
  readonly sides: readonly [Side, Side]
  readonly #clients: NamespaceClient[] = []

  private constructor() {
    const side = (letter: string, number: number): Side => ({
      namespace: `upstart-${process.pid}-${letter}`,
      address: `10.99.${number}.1`
    })
    this.sides = [side('a', 1), side('b', 2)]
  }

  /** Undefined where this machine lets nobody make namespaces. */
  static create(): TwoSides | undefined {
    const made = new TwoSides()
    const [a, b] = made.sides
    try {
      for (const { namespace, address } of made.sides) {
        ip('netns', 'add', namespace)
        ip('-n', namespace, 'link', 'set', 'lo', 'up')
        ip('-n', namespace, 'address', 'add', `${address}/32`, 'dev', 'lo')
      }
      ip('-n', a.namespace, 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', b.namespace)
      // Multicast goes out where an interface has an address of its own.
      ip('-n', a.namespace, 'address', 'add', '10.99.0.1/24', 'dev', 'wire')
      ip('-n', b.namespace, 'address', 'add', '10.99.0.2/24', 'dev', 'wire')
      made.join()
      return made
    } catch (error) {
      made.close()
      if (process.getuid?.() !== 0) return undefined
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT' || /not permitted/i.test(String(error))
      if (missing) return undefined
      throw error
    }
  }

  cut(): void {
    ip('-n', this.sides[0].namespace, 'link', 'set', 'wire', 'down')
  }

  join(): void {
    const [a, b] = this.sides
    for (const [own, other] of [
      [a, b],
      [b, a]
    ] as const) {
      ip('-n', own.namespace, 'link', 'set', 'wire', 'up')
      // What a downed link had of routes is gone. Nobody need ask for an address: where one direction is lost it would be both.
      ip('-n', own.namespace, 'neigh', 'replace', other.address, 'lladdr', ending(other.namespace), 'dev', 'wire')
      for (const target of [`${other.address}/32`, '224.0.0.0/4'])
        ip('-n', own.namespace, 'route', 'replace', target, 'dev', 'wire', 'src', own.address)
    }
  }

  /**
   * From now on all that this side sends is lost, and all that the other side sends arrives: a bucket that holds less
   * than any packet lets none through. @throws Error where the kernel has no such queue
   */
  mute({ namespace }: Side): void {
    const bucket = ['tbf', 'rate', '8bit', 'burst', '1', 'latency', '1ms']
    execFileSync('tc', ['-n', namespace, 'qdisc', 'replace', 'dev', 'wire', 'root', ...bucket], { stdio: 'pipe' })
  }
  unmute({ namespace }: Side): void {
    execFileSync('tc', ['-n', namespace, 'qdisc', 'delete', 'dev', 'wire', 'root'], { stdio: 'pipe' })
  }

  client(side: Side, root: string, peers: string[]): NamespaceClient {
    const client = new NamespaceClient(side, root, peers)
    this.#clients.push(client)
    return client
  }

  close(): void {
    for (const client of this.#clients) client.close()
    for (const { namespace } of this.sides) {
      try {
        ip('netns', 'delete', namespace)
      } catch (error) {
        // It was never made, and why is what `create` throws or returns.
        if (!/No such file/.test(String(error))) throw error
      }
    }
  }
}

/** The light client, in a process inside a namespace. */
export class NamespaceClient {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  #last = 0

  constructor({ namespace }: Side, root: string, peers: string[]) {
    const command = ['netns', 'exec', namespace, process.execPath, CLIENT, root, ...peers]
    this.#process = spawn('ip', command, { stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.#process.stdout! }).on('line', (line) => {
      const { id, result, error } = JSON.parse(line) as { id: number; result?: unknown; error?: string }
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(result)
      else waiting?.reject(new Error(error))
    })
    void once(this.#process, 'exit').then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the client in the namespace ended'))
    })
  }

  status(): Promise<Status> {
    return this.#ask('status', null) as Promise<Status>
  }
  call(request: CallRequest): Promise<unknown> {
    return this.#ask('call', request)
  }
  async injectStatement(bytes: Uint8Array): Promise<void> {
    await this.#ask('injectStatement', Buffer.from(bytes).toString('hex'))
  }
  async injectUpgrade(path: string): Promise<void> {
    await this.#ask('injectUpgrade', path)
  }

  close(): void {
    this.#process.kill('SIGKILL')
  }

  #ask(method: string, argument: unknown): Promise<unknown> {
    this.#last += 1
    const id = this.#last
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#process.stdin!.write(`${JSON.stringify({ id, method, argument })}\n`)
    })
  }
}
