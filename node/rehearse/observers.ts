/**
 * The observers of a specification with their small arguments (SPEC Q21), read in a process of its own: an author's
 * module may loop, print or end its process. Run as a program this file is that process.
 */
import { fork } from 'node:child_process'
import { Refusal } from '../../src/errors.ts'
import { observersOf } from '../../src/spec/judge.ts'
import type { Specification } from '../../src/spec/specification.ts'
import type { Value } from '../../src/versions/types.ts'
import { ended } from '../ended.ts'

export interface Observation {
  method: string
  args: readonly Value[]
}
export type Observations = Record<'old' | 'new', Observation[]>

type Message = { read: Observations } | { failed: string }

const READ_MS = 30_000

/** @param spec the built module */
export async function readObservers(spec: string): Promise<Observations> {
  const child = fork(import.meta.filename, ['--observers', spec], {
    execArgv: [],
    stdio: ['ignore', 2, 2, 'ipc'],
    serialization: 'advanced',
    timeout: READ_MS
  })
  const read = Promise.withResolvers<Observations>()
  child.once('message', (message: Message) => {
    if ('read' in message) read.resolve(message.read)
    else read.reject(new Refusal('Malformed', `spec: ${message.failed}`))
  })
  ended(child).then((how) => {
    read.reject(new Refusal('Malformed', `spec: it ended its process (${how}) before it was read`))
  }, read.reject)
  return await read.promise.finally(() => child.kill('SIGKILL'))
}

if (process.argv[2] === '--observers' && process.argv[1] === import.meta.filename && process.send !== undefined) {
  const answer = (message: Message) => process.send!(message)
  try {
    const { default: spec } = (await import(process.argv[3]!)) as { default: Specification }
    const { old, new: next } = observersOf(spec)
    const plain = (calls: readonly Observation[]) => calls.map(({ method, args }) => ({ method, args }))
    answer({ read: { old: plain(old), new: plain(next) } })
  } catch (error) {
    answer({ failed: (error as Error).message })
  }
}
