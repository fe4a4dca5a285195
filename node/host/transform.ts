/**
 * A transform (SPEC H8): the old state is copied, never written to; the TF turns the copy into a fresh directory; all
 * of it is synced before success is reported. Whatever interrupts it leaves garbage in the new directory only.
 */
import { constants } from 'node:fs'
import { cp, mkdir, readdir, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Refusal } from '../../src/errors.ts'
import { CHAIN_SPACE, Marks, simulationSpace } from '../../src/versions/store.ts'
import type { LinkState, SkippedVersion, TransformContext, TransformFunction, Value } from '../../src/versions/types.ts'
import type { TransformPlan } from './host.ts'
import { importDefault } from './runtime.ts'
import { filesOf, State } from './state.ts'
import { syncOne, syncTree } from './sync.ts'

/** The private copy of the old state, inside the new directory: abandoning the attempt removes both. */
const INPUT = '.input'
const OBJECT = 'object'
/** Unit of `blocks` in what the system says of a file. */
const BLOCK_BYTES = 512
/** Progress is shown to operators; more often than this it would only cost. */
const PROGRESS_STEP = 0.01

export interface TransformOutward {
  log(message: string, fields: Record<string, Value>): void
  progress(fraction: number): void
}

export class Transform {
  readonly #plan: TransformPlan
  readonly #outward: TransformOutward
  readonly #code: TransformFunction | null

  private constructor(plan: TransformPlan, outward: TransformOutward, code: TransformFunction | null) {
    this.#plan = plan
    this.#outward = outward
    this.#code = code
  }

  static async warm(plan: TransformPlan, outward: TransformOutward): Promise<Transform> {
    const code = plan.module === null ? null : ((await importDefault(plan.module)) as TransformFunction)
    return new Transform(plan, outward, code)
  }

  /** Throws Refusal NoSpace, Quarantined, Usage, or what the TF throws. */
  async run(reserveBytes: number): Promise<void> {
    const { oldDirectory, newDirectory } = this.#plan
    await mkdir(newDirectory, { recursive: true })
    const left = await readdir(newDirectory)
    if (left.length > 0)
      throw new Refusal('Usage', `${newDirectory} is not empty; every attempt needs a fresh directory`)
    await checkSpace(oldDirectory, newDirectory, reserveBytes)
    const input = join(newDirectory, INPUT)
    // A copy on write where the file system can; links are copied as they are.
    await cp(oldDirectory, input, { recursive: true, mode: constants.COPYFILE_FICLONE, verbatimSymlinks: true })
    await this.#transform(input)
    await rm(input, { recursive: true })
    await syncTree(newDirectory)
    await syncOne(dirname(newDirectory))
  }

  async #transform(input: string): Promise<void> {
    const old = new State(input, { bulk: true })
    try {
      const fresh = new State(this.#plan.newDirectory, { bulk: true })
      try {
        await this.#carryOver(old, fresh, input)
        if (this.#code === null) await this.#adopt(old, fresh, input)
        else await this.#apply(this.#code, old, fresh, input)
      } finally {
        fresh.close()
      }
    } finally {
      old.close()
    }
  }

  /** State of the SOs that stay: of older versions, and of later ones that are rebased on the new object. */
  async #carryOver(old: State, fresh: State, input: string): Promise<void> {
    const marks = new Marks(old.space(CHAIN_SPACE))
    const kept = new Marks(fresh.space(CHAIN_SPACE))
    for (const version of marks.started()) {
      if (!this.#plan.carried.includes(version)) continue
      kept.start(version)
      const reason = marks.quarantined(version)
      if (reason !== null) kept.quarantine(version, reason)
      await this.#copy(old, fresh, input, simulationSpace(version))
    }
  }

  /** No TF: the new object opens the state of the old one; its past SO is made by `initial`. */
  #adopt(old: State, fresh: State, input: string): Promise<void> {
    return this.#copy(old, fresh, input, OBJECT)
  }

  async #copy(old: State, fresh: State, input: string, space: string): Promise<void> {
    fresh.copySpace(old, space)
    const files = filesOf(input, space)
    const there = await stat(files).then(
      () => true,
      (error) => {
        if (error.code === 'ENOENT') return false
        throw error
      }
    )
    if (!there) return
    const target = filesOf(this.#plan.newDirectory, space)
    await cp(files, target, { recursive: true, mode: constants.COPYFILE_FICLONE, verbatimSymlinks: true })
  }

  async #apply(code: TransformFunction, old: State, fresh: State, input: string): Promise<void> {
    const { from, to, peer, group, newDirectory } = this.#plan
    const skipped: SkippedVersion[] = []
    for (const version of this.#plan.skipped) {
      const future = await this.#future(old, input, version)
      skipped.push({ version, future, past: await linkState(fresh, newDirectory, simulationSpace(version)) })
    }
    let shown = -1
    const context: TransformContext = {
      from,
      to,
      peer,
      group,
      old: await linkState(old, input, OBJECT),
      future: await this.#future(old, input, to),
      new: await linkState(fresh, newDirectory, OBJECT),
      past: await linkState(fresh, newDirectory, simulationSpace(from)),
      skipped,
      progress: (fraction) => {
        if (!(fraction >= 0 && fraction <= 1)) throw new RangeError(`progress is from 0 to 1, got ${fraction}`)
        if (fraction - shown < PROGRESS_STEP && fraction !== 1) return
        shown = fraction
        this.#outward.progress(fraction)
      },
      log: (message, fields = {}) => this.#outward.log(message, fields)
    }
    await code(context)
    // V9: the past SOs' state is what the TF made of it; `initial` is for nodes that had no old object.
    const marks = new Marks(fresh.space(CHAIN_SPACE))
    for (const version of [from, ...this.#plan.skipped]) marks.start(version)
  }

  /** V10: what the state says counts, for the daemon may have died between the SO's start and its own record of it. */
  async #future(old: State, input: string, version: number): Promise<LinkState | null> {
    const marks = new Marks(old.space(CHAIN_SPACE))
    if (!marks.isStarted(version)) return null
    const reason = marks.quarantined(version)
    if (reason === null) return linkState(old, input, simulationSpace(version))
    if (!this.#plan.futures.includes(version)) return null
    throw new Refusal(
      'Quarantined',
      `the future SO of version ${version} missed calls (${reason}); a retry that discards it is needed`
    )
  }
}

async function linkState(state: State, directory: string, space: string): Promise<LinkState> {
  const files = filesOf(directory, space)
  await mkdir(files, { recursive: true })
  return { directory: files, state: state.space(space) }
}

/** Room for the copy and for an output of the same size. Whether the file system shares blocks cannot be known before. */
export async function checkSpace(oldDirectory: string, newDirectory: string, reserveBytes: number): Promise<void> {
  const size = await sizeOf(oldDirectory)
  const needed = 2 * size + reserveBytes
  const { bavail, bsize } = await statfs(newDirectory)
  const free = bavail * bsize
  if (free >= needed) return
  throw new Refusal(
    'NoSpace',
    `the transform needs ${needed} bytes (state of ${size}, its copy and output, ${reserveBytes} in reserve), ` +
      `${free} are free at ${newDirectory}; free some space`
  )
}

/** Bytes that all files below a directory take: a small one takes a block. */
export async function sizeOf(directory: string): Promise<number> {
  let size = 0
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) size += await sizeOf(path)
    else if (entry.isFile()) {
      const { size: length, blocks } = await stat(path)
      size += Math.max(length, blocks * BLOCK_BYTES)
    }
  }
  return size
}
