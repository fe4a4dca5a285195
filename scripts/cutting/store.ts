/**
 * Power cuts under the real store (SPEC M63): a program commits and acknowledges while its system calls are recorded; of
 * each moment, disks as a cut may leave them are made, opened, and must hold what was acknowledged, or one commit more.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { openStore } from '../../node/store/store.ts'
import type { Persist } from '../../src/overlay/events.ts'
import { Generator } from '../../src/prng.ts'
import { DiskModel, type Loss, materialise } from './image.ts'
import { changes } from './store-work.ts'
import { recorder, stepsIn } from './trace.ts'

const LOSSES: Loss[] = ['all', 'none', 'data', 'names', 'some', 'some', 'some', 'some']

export interface DiskCuts {
  /** Disks that were made and opened, and steps of the program between which the power went. */
  disks: number
  steps: number
  acknowledged: number
  /** What was wrong with the first few. */
  broken: string[]
}

/** Whether this machine can record; if not, why. */
export function cannotRecord(): string | undefined {
  const { error, status } = spawnSync('strace', ['-qq', 'true'])
  return error !== undefined || status !== 0 ? 'strace is not installed here, or may not trace' : undefined
}

/** The states that commits lead to, one after the other; first the empty one. */
function statesOf(seed: number, commits: number): Map<string, unknown>[] {
  const states = [new Map<string, unknown>()]
  const all = changes(seed)
  for (let done = 0; done < commits; done++) {
    const { put, delete: keys } = all.next().value as Persist
    const state = new Map(states.at(-1))
    for (const key of keys) state.delete(key)
    for (const [key, value] of put) state.set(key, value)
    states.push(state)
  }
  return states
}

export function cutStore(seed: number, commits: number): DiskCuts {
  const place = mkdtempSync(join(tmpdir(), 'upstart-cuts-'))
  const [directory, acknowledgements, trace] = ['data', 'acknowledged', 'trace'].map((name) => join(place, name))
  try {
    const work = [
      join(import.meta.dirname, 'store-work.ts'),
      directory!,
      acknowledgements!,
      String(seed),
      String(commits)
    ]
    const [command, ...options] = recorder(trace!)
    const { status, stderr } = spawnSync(command!, [...options, process.execPath, ...work])
    if (status !== 0) throw new Error(`the program under record ended with ${status}: ${stderr}`)
    return cutAlong(readFileSync(trace!, 'latin1'), {
      directory: directory!,
      acknowledgements: acknowledgements!,
      place,
      seed,
      commits
    })
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

interface Recorded {
  directory: string
  acknowledgements: string
  place: string
  seed: number
  commits: number
}

function cutAlong(lines: string, { directory, acknowledgements, place, seed, commits }: Recorded): DiskCuts {
  const random = new Generator(seed, 3)
  const states = statesOf(seed, commits)
  const model = new DiskModel(directory)
  const result: DiskCuts = { disks: 0, steps: 0, acknowledged: 0, broken: [] }
  // The folder above is somebody else's to keep.
  const steps = stepsIn(lines, directory, acknowledgements).filter(
    (one) => one.what !== 'mkdir' || one.path !== directory
  )
  for (const step of steps) {
    model.apply(step)
    result.steps += 1
    if (step.what === 'acknowledge') result.acknowledged += 1
    for (const loss of LOSSES) {
      const disk = join(place, 'disk')
      mkdirSync(disk, { mode: 0o700 })
      materialise(model.after(loss, random), directory, disk)
      const wrong = wrongWith(disk, states.slice(result.acknowledged, result.acknowledged + 2))
      rmSync(disk, { recursive: true })
      result.disks += 1
      if (wrong !== undefined && result.broken.length < 8)
        result.broken.push(
          `step ${result.steps} (${step.what}), loss ${loss}, ${result.acknowledged} acknowledged: ${wrong}`
        )
    }
  }
  return result
}

function wrongWith(disk: string, legal: readonly Map<string, unknown>[]): string | undefined {
  try {
    const store = openStore(disk)
    const found = store.read()
    store.close()
    return legal.some((state) => isDeepStrictEqual(state, found))
      ? undefined
      : `it holds ${found.size} values of another state`
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`
  }
}
