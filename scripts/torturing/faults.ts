/** What is done to a peer, and undone. */
import { execFileSync } from 'node:child_process'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Generator } from '../../src/prng.ts'
import type { Fleet, Victim } from '../demonstration/fleet.ts'

export type Fault = Victim | 'stopped' | 'full' | 'clock'

/** By how often each is drawn. */
const SHARES: readonly [Fault, number][] = [
  ['daemon', 4],
  ['all', 4],
  ['object', 4],
  ['transform', 4],
  ['stopped', 2],
  ['full', 2],
  ['clock', 2]
]
const MOST_DOWN_MS = 800
const MOST_HELD_MS = 3_000
const DISK_MB = 192
const CLOCK = join(import.meta.dirname, 'clock.ts')
const DAY_MS = 86_400_000
/** Behind and ahead: a wrong zone, a day, more than what anything signed lasts, long before anything was signed. */
const WRONG_BY_MS = [-3_600_000, 3_600_000, -DAY_MS, DAY_MS, 500 * DAY_MS, -9_000 * DAY_MS]

export function drawFault(random: Generator, without: ReadonlySet<Fault>): Fault {
  const possible = SHARES.filter(([fault]) => !without.has(fault))
  return random.pick(possible.flatMap(([fault, share]) => Array<Fault>(share).fill(fault)))
}

/** @returns what was done, which is another thing where the process that was to be killed was not there */
export async function inflict(fault: Fault, fleet: Fleet, name: string, data: string, random: Generator) {
  const heldMs = 500 + random.below(MOST_HELD_MS)
  if (fault === 'stopped') return await stop(fleet, name, random, heldMs)
  if (fault === 'full') return await fill(data, heldMs)
  if (fault === 'clock') return await misdate(fleet, name, random.pick(WRONG_BY_MS), heldMs)
  const downMs = random.below(MOST_DOWN_MS)
  const victim = await fleet.strike(name, fault, random.below(1024))
  if (victim !== 'daemon' && victim !== 'all') return `killed its ${victim} process`
  await pause(downMs)
  await fleet.restart(name)
  return `killed its daemon${victim === 'all' ? ' and all processes' : ''}, back after ${downMs} ms`
}

async function stop(fleet: Fleet, name: string, random: Generator, heldMs: number): Promise<string> {
  const { pid, role } = random.pick(await fleet.processesOf(name))
  if (!signal(pid, 'SIGSTOP')) return `its ${role} process had ended by itself`
  await pause(heldMs)
  signal(pid, 'SIGCONT')
  return `stopped its ${role} process for ${heldMs} ms`
}

/** False where it is gone. */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

async function fill(data: string, heldMs: number): Promise<string> {
  const path = join(data, 'filled')
  const file = await open(path, 'w')
  const chunk = Buffer.alloc(64 * 1024, 1)
  let written = 0
  try {
    // Bounded by the disk, which is small.
    while (written < DISK_MB * 1024 * 1024) written += (await file.write(chunk)).bytesWritten
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    await file.close()
  }
  await pause(heldMs)
  await rm(path)
  return `filled its disk (${Math.round(written / 1024 / 1024)} MB were free) for ${heldMs} ms`
}

async function misdate(fleet: Fleet, name: string, wrongByMs: number, heldMs: number): Promise<string> {
  await fleet.strike(name, 'daemon', 0)
  const preload = `--import=${CLOCK}`
  await fleet.restart(name, { NODE_OPTIONS: preload, UPSTART_TORTURE_CLOCK_MS: String(wrongByMs) })
  await pause(2 * heldMs)
  await fleet.strike(name, 'daemon', 0)
  await fleet.restart(name)
  const [days, hours] = [wrongByMs / DAY_MS, wrongByMs / 3_600_000]
  const by = Math.abs(days) < 1 ? `${hours} h` : `${days} days`
  return `its clock was wrong by ${by} for a life of ${2 * heldMs} ms`
}

/** Disks of their own, so small that they can be filled. Undefined where nobody may mount any. */
export async function smallDisks(directories: readonly string[]): Promise<(() => void) | undefined> {
  const mounted: string[] = []
  const unmount = () => {
    for (const directory of mounted.splice(0)) execFileSync('umount', ['--lazy', directory])
  }
  try {
    for (const directory of directories) {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m,mode=0700`, 'tmpfs', directory], { stdio: 'pipe' })
      mounted.push(directory)
    }
    return unmount
  } catch (error) {
    unmount()
    const isLacking = process.getuid?.() !== 0 || /permission denied|not permitted|ENOENT/i.test(String(error))
    if (isLacking) return undefined
    throw error
  }
}
