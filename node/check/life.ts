/**
 * One start of an object's code under check, and what it does to files (SPEC Q23): a call can be held, or its process
 * be taken to die, before each change of a file and in the middle of what is written. Whose change it is follows the
 * code through its awaits; native code (a database that an object opens itself) is not seen.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import fs from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import type { Hooks } from '../../src/spec/subject.ts'

type Operation = (...args: any[]) => any
type Operations = Record<string, Operation>

const lives = new AsyncLocalStorage<Life>()
/** What code waits for that does not exist any more. */
const never = (): Promise<never> => new Promise(() => undefined)

export class Life {
  readonly #hooks: Hooks
  #isOver = false
  /** What the system has been asked for and not answered yet. */
  readonly #running = new Set<Promise<unknown>>()
  readonly #open = new Set<FileHandle>()

  constructor(hooks: Hooks) {
    this.#hooks = hooks
    watchFiles()
  }

  /** The code's changes of files are those made in here, and by whatever begins in here. */
  run<Result>(work: () => Result): Result {
    return lives.run(this, work)
  }

  /** As after a kill: nothing of it goes on, and what the system was asked for is done. */
  async end(): Promise<void> {
    this.#isOver = true
    await Promise.allSettled(this.#running)
    // Handles that nobody closes would end the whole process once they are collected.
    for (const handle of this.#open) if (handle.fd !== -1) await handle.close()
    this.#open.clear()
  }

  /** Waits at a point, then asks the system. */
  async change<Result>(ask: () => Promise<Result>): Promise<Result> {
    if (this.#isOver) return await never()
    await this.#hooks.point?.()
    if (this.#isOver) return await never()
    // What the system's own code does on the way is part of this step.
    const running = lives.exit(ask)
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  changeNow<Result>(ask: () => Result): Result {
    this.#isOver ||= this.#hooks.isKilled?.() === true
    if (this.#isOver) throw new Error('the check killed this process')
    return lives.exit(ask)
  }

  opened(handle: FileHandle): FileHandle {
    this.#open.add(handle)
    return handle
  }
}

/** What changes files by their names: one step each. */
const STEPS = ['copyFile', 'cp', 'link', 'mkdir', 'rename', 'rm', 'rmdir', 'symlink', 'truncate', 'unlink'] as const
/** Of the forms that do not return promises also these, by names and by numbers of open files. */
const PLAIN_STEPS = [...STEPS, 'appendFile', 'ftruncate', 'write', 'writeFile', 'writev'] as const

let areWatched = false

function watchFiles(): void {
  if (areWatched) return
  areWatched = true
  const [promises, plain] = [fs.promises, fs] as unknown as [Operations, Operations]
  for (const name of STEPS) replace(promises, name, (original) => promised(original))
  const openFile = promises['open']!
  replace(promises, 'open', (original) => opening(original))
  for (const [name, flags] of Object.entries({ writeFile: 'w', appendFile: 'a' }))
    replace(promises, name, (original) => writing(original, openFile, flags))
  for (const name of PLAIN_STEPS) {
    replace(plain, name, (original) => calledBack(original))
    replace(plain, `${name}Sync`, (original) => immediate(original))
  }
  replace(plain, 'open', (original) => calledBack(original, changesFile))
  replace(plain, 'openSync', (original) => immediate(original, changesFile))
  syncBuiltinESMExports()
}

function replace(operations: Operations, name: string, by: (original: Operation) => Operation): void {
  const original = operations[name]!
  const replaced = by(original)
  // What `promisify` looks for stays there.
  for (const symbol of Object.getOwnPropertySymbols(original))
    Object.defineProperty(replaced, symbol, Object.getOwnPropertyDescriptor(original, symbol)!)
  operations[name] = replaced
}

const promised = (original: Operation): Operation =>
  function (this: unknown, ...args) {
    return lives.getStore()?.change(() => original.apply(this, args)) ?? original.apply(this, args)
  }

const immediate = (original: Operation, isChange = (..._args: unknown[]) => true): Operation =>
  function (this: unknown, ...args) {
    const life = isChange(...args) ? lives.getStore() : undefined
    return life === undefined ? original.apply(this, args) : life.changeNow(() => original.apply(this, args))
  }

const calledBack = (original: Operation, isChange = (..._args: unknown[]) => true): Operation =>
  function (this: unknown, ...args) {
    const life = isChange(...args) ? lives.getStore() : undefined
    const callback = args.at(-1)
    if (life === undefined || typeof callback !== 'function') return original.apply(this, args)
    const ask = () =>
      new Promise<unknown[]>((resolve) =>
        original.apply(this, [...args.slice(0, -1), (...got: unknown[]) => resolve(got)])
      )
    void life.change(ask).then((got) => callback(...got))
  }

/** Whether `open` with these flags may make or empty a file. */
function changesFile(_path: unknown, flags: unknown): boolean {
  if (typeof flags === 'number') return (flags & (fs.constants.O_CREAT | fs.constants.O_TRUNC)) !== 0
  return typeof flags === 'string' && /^[wa]/.test(flags)
}

const opening = (original: Operation): Operation =>
  async function (this: unknown, ...args) {
    const life = lives.getStore()
    if (life === undefined) return await original.apply(this, args)
    const ask = (): Promise<FileHandle> => original.apply(this, args)
    const handle = life.opened(changesFile(args[0], args[1]) ? await life.change(ask) : await ask())
    watchHandle(handle)
    return handle
  }

/** Text or bytes go to a file that is there, empty, before they do. */
const writing = (original: Operation, openFile: Operation, usual: string): Operation =>
  async function (this: unknown, file, content, options) {
    const life = lives.getStore()
    const {
      encoding,
      mode,
      flag = usual,
      flush = false
    } = typeof options === 'string' ? { encoding: options } : (options ?? {})
    if (life === undefined || bytesOf(content, encoding) === null)
      return await original.call(this, file, content, options)
    if (typeof file === 'object' && typeof file.writeFile === 'function') return await file.writeFile(content, options)
    const handle: FileHandle = life.opened(await life.change(() => openFile(file, flag, mode)))
    watchHandle(handle)
    try {
      await handle.writeFile(content, options)
      if (flush) await handle.sync()
    } finally {
      await handle.close()
    }
  }

function bytesOf(content: unknown, encoding: unknown): Buffer | null {
  if (typeof content === 'string') return Buffer.from(content, (encoding ?? 'utf8') as BufferEncoding)
  return ArrayBuffer.isView(content) ? Buffer.from(content.buffer, content.byteOffset, content.byteLength) : null
}

let areHandlesWatched = false

/** The class of handles is not exported: the first one leads to it. */
function watchHandle(handle: FileHandle): void {
  if (areHandlesWatched) return
  areHandlesWatched = true
  const prototype = Object.getPrototypeOf(handle) as Operations
  for (const name of ['truncate', 'write', 'writev']) replace(prototype, name, promised)
  for (const name of ['writeFile', 'appendFile']) replace(prototype, name, halving)
}

/** A kill may find half of it written. */
const halving = (original: Operation): Operation =>
  async function (this: FileHandle, content, options) {
    const life = lives.getStore()
    const bytes = bytesOf(content, typeof options === 'string' ? options : options?.encoding)
    if (life === undefined || bytes === null) return await original.call(this, content, options)
    const half = bytes.length >> 1
    if (half > 0) await life.change(() => original.call(this, bytes.subarray(0, half)))
    await life.change(() => original.call(this, bytes.subarray(half)))
  }
