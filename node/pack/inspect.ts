/**
 * Reads what built modules export, in a process of their own: an author's module may hold handles open, print, or loop.
 * `inspect` is the parent's side; run as a program this file is the child's.
 */
import { fork } from 'node:child_process'
import { Refusal, type RefusalName } from '../../src/errors.ts'
import { ended } from '../ended.ts'

/** What a module is for decides what it must export by default. */
export type ModuleRole = 'upgrade' | 'class' | 'transform' | 'schedule'

/** Statics of a class as its author wrote them, not validated. */
export interface Statics {
  methods: unknown
  calls: unknown
  intercepts: unknown
  /** Names of the methods that its prototype really has. */
  implemented: string[]
}

interface Question {
  role: ModuleRole
  /** Absolute path of a built module. */
  path: string
  /** How the author named it; for messages. */
  name: string
}

type Answer = { ok: true; found: unknown } | { ok: false; name: string; message: string }

const TIMEOUT_MS = 30_000

/** One answer per question, in order. @throws Refusal with the module's name and what is wrong in it */
export async function inspect(questions: readonly Question[]): Promise<unknown[]> {
  const child = fork(import.meta.filename, ['--inspect', JSON.stringify(questions)], {
    execArgv: [],
    // What modules print while they are imported belongs to stderr: stdout is the command's answer.
    stdio: ['ignore', 2, 2, 'ipc']
  })
  const answer = await new Promise<Answer>((resolve, reject) => {
    const timer = setTimeout(() => {
      const text = `importing ${questions.map((one) => one.name).join(', ')} took more than ${TIMEOUT_MS / 1000} s; modules must not wait while they are imported`
      reject(new Refusal('Malformed', text))
    }, TIMEOUT_MS)
    child.once('message', (message) => resolve(message as Answer))
    ended(child).then((how) => {
      clearTimeout(timer)
      reject(new Refusal('Malformed', `a module ended its process (${how}) while it was imported`))
    }, reject)
  }).finally(() => child.kill('SIGKILL'))
  if (!answer.ok) throw new Refusal(answer.name as RefusalName, answer.message)
  return answer.found as unknown[]
}

function implementedBy(prototype: object | null): string[] {
  if (prototype === null || prototype === Object.prototype) return []
  const own = Object.getOwnPropertyNames(prototype).filter((name) => {
    const property = Object.getOwnPropertyDescriptor(prototype, name)
    return name !== 'constructor' && typeof property?.value === 'function'
  })
  return [...own, ...implementedBy(Object.getPrototypeOf(prototype))]
}

async function answerTo({ role, path, name }: Question): Promise<unknown> {
  const { default: exported } = await import(path)
  if (role === 'upgrade') {
    if (!Array.isArray(exported?.classes)) {
      throw new Refusal(
        'Malformed',
        `${name}: its default export must be made by defineUpgrade({ version, description, classes })`
      )
    }
    return exported
  }
  if (typeof exported !== 'function') {
    const what = { class: 'the class', transform: 'the transform function', schedule: 'the schedule function' }[role]
    throw new Refusal(
      'Malformed',
      `${name}: its default export must be ${what}; it is ${exported === undefined ? 'missing' : typeof exported}`
    )
  }
  if (role !== 'class') return null
  const { methods, calls, intercepts } = exported
  return { methods, calls, intercepts, implemented: implementedBy(exported.prototype) } satisfies Statics
}

async function answerAll(questions: Question[]): Promise<Answer> {
  const found: unknown[] = []
  for (const question of questions) {
    try {
      found.push(await answerTo(question))
    } catch (error) {
      const { name, message } = error as Error
      // The built upgrade carries its own copy of Refusal: it is known by its code, not by its class.
      if (typeof (error as Refusal).code === 'string' && (error as Refusal).code === name)
        return { ok: false, name, message }
      return { ok: false, name: 'Malformed', message: `${question.name}: importing it failed: ${message}` }
    }
  }
  return { ok: true, found }
}

if (process.argv[2] === '--inspect' && process.argv[1] === import.meta.filename && process.send !== undefined) {
  process.send(await answerAll(JSON.parse(process.argv[3]!)))
}
