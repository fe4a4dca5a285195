/**
 * Records of hosted processes, so that the next daemon ends those that outlived this one (SPEC H5): a child in a busy
 * loop does not notice that its pipe was closed, and two writers on one state would destroy it. A process is named by its id and
 * its start time, since ids are used again.
 */
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { z } from 'zod'
import { Refusal } from '../../src/errors.ts'
import { syncOne } from './sync.ts'

const run = promisify(execFile)
const POLL_MS = 10
/** A killed process is gone in milliseconds, unless it hangs in the kernel. */
const GONE_TIMEOUT_MS = 10_000

const recordSchema = z.strictObject({ pid: z.int().min(2), started: z.string() })

type ProcessRecord = z.infer<typeof recordSchema>

export class ProcessRecords {
  readonly #directory: string
  constructor(directory: string) {
    this.#directory = directory
  }

  /** Durable on return; removed by the function that it answers, once the process is gone. */
  async add(pid: number): Promise<() => Promise<void>> {
    await mkdir(this.#directory, { recursive: true })
    const started = await startTimeOf(pid)
    const file = join(this.#directory, `${pid}.json`)
    if (started !== null) {
      const record: ProcessRecord = { pid, started }
      await writeFile(`${file}.new`, JSON.stringify(record), { flush: true })
      await rename(`${file}.new`, file)
      await syncOne(this.#directory)
    }
    return () => rm(file, { force: true })
  }

  /** Kills the recorded processes that still run; resolves with their number when all of them are gone. */
  async end(): Promise<number> {
    await mkdir(this.#directory, { recursive: true })
    let ended = 0
    for (const name of await readdir(this.#directory)) {
      const file = join(this.#directory, name)
      // An unfinished record is of a process that was not yet told to open any state; it ends with its pipe.
      if (name.endsWith('.json')) ended += await endOne(await recordOf(file))
      await rm(file, { force: true })
    }
    return ended
  }
}

async function recordOf(file: string): Promise<ProcessRecord> {
  const text = await readFile(file, 'utf8')
  try {
    return recordSchema.parse(JSON.parse(text))
  } catch (cause) {
    const mend = 'end the hosted processes of this data directory, then remove the file'
    throw new Refusal('DamagedStore', `${file} names no process; ${mend}`, { cause })
  }
}

async function endOne({ pid, started }: ProcessRecord): Promise<number> {
  if ((await startTimeOf(pid)) !== started) return 0
  killGroup(pid)
  for (let waitedMs = 0; (await startTimeOf(pid)) === started; waitedMs += POLL_MS) {
    if (waitedMs >= GONE_TIMEOUT_MS) {
      throw new Error(`process ${pid}, left by an earlier daemon, does not end; end it before its object is started`)
    }
    await delay(POLL_MS)
  }
  return 1
}

/** Kills a process that leads a group, and what it has started there; fine where nothing of it is left. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (!isGone(error)) throw error
  }
}

/** When a process started, in whatever unit the system tells; null when there is no such process, or only its remains. */
export async function startTimeOf(pid: number): Promise<string | null> {
  return process.platform === 'linux' ? linuxStartTimeOf(pid) : askPs('lstart', pid)
}

async function linuxStartTimeOf(pid: number): Promise<string | null> {
  try {
    // The name in parentheses may hold anything; the fields after it are plain: state first, start time twentieth.
    const text = await readFile(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    // A zombie whose threads are gone holds no files any more; nobody may ever reap it.
    if (fields[0] === 'Z' && (await readdir(`/proc/${pid}/task`)).length <= 1) return null
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    return `${boot.trim()}/${fields[19]}`
  } catch (error) {
    if (isGone(error)) return null
    throw error
  }
}

/** Resident memory of a process and, where the system tells, its descendants, bytes; 0 when it is gone. */
export async function residentBytesOf(pid: number): Promise<number> {
  if (process.platform !== 'linux') return Number((await askPs('rss', pid)) ?? 0) * 1024
  const status = await unlessGone(readFile(`/proc/${pid}/status`, 'utf8'))
  let bytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status ?? '')?.[1] ?? 0) * 1024
  const children = await unlessGone(readFile(`/proc/${pid}/task/${pid}/children`, 'utf8'))
  for (const child of (children ?? '').split(' ').filter(Boolean)) bytes += await residentBytesOf(Number(child))
  return bytes
}

async function askPs(field: string, pid: number): Promise<string | null> {
  try {
    const { stdout } = await run('ps', ['-o', `${field}=`, '-p', String(pid)])
    return stdout.trim() || null
  } catch (error) {
    // ps says by its exit code 1 that there is no such process.
    if ((error as { code?: unknown }).code === 1) return null
    throw error
  }
}

async function unlessGone<T>(read: Promise<T>): Promise<T | null> {
  try {
    return await read
  } catch (error) {
    if (isGone(error)) return null
    throw error
  }
}

function isGone(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === 'ENOENT' || code === 'ESRCH'
}
