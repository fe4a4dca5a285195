/**
 * A node under check as it is in a fleet (SPEC Q5): object and TF in processes of their own, killed with SIGKILL where a
 * history says so. Slow: for a few histories, after the many.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Stage, Subject } from '../../src/spec/subject.ts'
import { allOf } from '../../src/upgrade/needs.ts'
import type { Value } from '../../src/versions/types.ts'
import { ChildHost } from '../host/child.ts'
import type { ObjectProcess, Outward } from '../host/host.ts'
import { type DiskCode, linksOf } from './disk.ts'
import { isRepeatable, persist } from './persist.ts'

const PEER = 'the-node-under-check'
const STOP_MS = 5_000
const CALL_MS = 30_000

export class ProcessStage implements Stage {
  readonly name = 'in processes'
  readonly #code: DiskCode
  /** Directories of the code, which confined processes may read. */
  readonly #codeDirectories: string[]

  constructor(code: DiskCode, codeDirectories: string[]) {
    this.#code = code
    this.#codeDirectories = codeDirectories
  }

  async open(): Promise<Subject> {
    const directory = await mkdtemp(join(tmpdir(), 'upstart-check-'))
    // Its author runs it: what it says it needs it has.
    const allowed = allOf(this.#code.needs)
    const host = new ChildHost({ directory: join(directory, 'host'), allowed, codeDirectories: this.#codeDirectories })
    const subject = new ProcessSubject(this.#code, host, directory)
    await subject.begin()
    return subject
  }
}

class ProcessSubject implements Subject {
  readonly #code: DiskCode
  readonly #host: ChildHost
  readonly #directory: string
  #process!: ObjectProcess
  #attempt = 1
  #simulated = false
  #calls = 0

  constructor(code: DiskCode, host: ChildHost, directory: string) {
    this.#code = code
    this.#host = host
    this.#directory = directory
  }

  begin(): Promise<void> {
    return this.#start()
  }

  call(version: number, method: string, args: readonly Value[]): Promise<Value> {
    const callId = `call-${++this.#calls}`
    const call = { version, method, args: [...args], callId, held: false, timeoutMs: CALL_MS }
    return persist(
      () => isRepeatable(this.#code, version, method),
      () => this.#process.call(call)
    )
  }

  async simulate(): Promise<void> {
    const { future } = this.#code
    if (this.#simulated || this.#attempt > 1 || future === null) return
    await this.#process.simulate(future)
    this.#simulated = true
  }

  async upgrade(): Promise<void> {
    const { old, new: next, transform } = this.#code
    await this.#process.stop(STOP_MS)
    const plan = {
      object: 'checked',
      peer: PEER,
      group: null,
      module: transform,
      from: old.version,
      to: next.version,
      skipped: [],
      carried: [],
      futures: this.#simulated ? [next.version] : [],
      oldDirectory: this.#at(1),
      newDirectory: this.#at(2),
      needs: this.#code.needs
    }
    await (await this.#host.warmTransform(plan)).run(() => undefined)
    this.#attempt = 2
    await this.#start()
  }

  async restart(): Promise<void> {
    await this.#process.kill()
    await this.#start()
  }

  async close(): Promise<void> {
    await this.#process.stop(STOP_MS)
    await this.#host.close()
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #start(): Promise<void> {
    const links = linksOf(this.#code, this.#attempt > 1, this.#simulated)
    const attemptDirectory = this.#at(this.#attempt)
    this.#process = await this.#host.warm(
      { object: 'checked', peer: PEER, group: null, attemptDirectory, links, needs: this.#code.needs },
      outward
    )
    await this.#process.start()
    this.#process.serve()
  }

  #at(attempt: number): string {
    return join(this.#directory, 'objects', String(attempt))
  }
}

const outward: Outward = {
  call: (request) => Promise.reject(new Error(`the check is one node; it called ${request.class}.${request.method}`)),
  members: () => [],
  log: () => undefined
}
