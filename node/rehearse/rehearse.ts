/**
 * An upgrade tried on a copy of real state (SPEC Q20, Q21): its TF, the new object with its past SOs, the probe, and the
 * observers of both versions, in hosted processes like those of a peer. The original is only read.
 */
import { constants, existsSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CallError } from '../../src/errors.ts'
import { keyOf } from '../../src/spec/plain.ts'
import type { Envelope } from '../../src/upgrade/entry.ts'
import type { Manifest } from '../../src/upgrade/manifest.ts'
import { withPlan } from '../check/plan.ts'
import { chainLinks, transformPlan } from '../daemon/links.ts'
import { ChildHost } from '../host/child.ts'
import type { LinkPlan, ObjectProcess, Outward } from '../host/host.ts'
import { HOST_DEFAULTS } from '../host/options.ts'
import { residentBytesOf } from '../host/survivors.ts'
import { checkSpace, sizeOf } from '../host/transform.ts'
import { unpackBundle } from '../pack/archive.ts'
import { openUpgradeFile, type UpgradeFile } from '../pack/file.ts'
import { type Observations, readObservers } from './observers.ts'
import { type FoundState, findState, freshDirectory, type HeldState } from './state.ts'

export interface RehearsalInit {
  upgrade: string
  state: string
  parents: readonly string[]
  /** The author's directory, with specifications: observers of both versions are asked, too. */
  source?: string | undefined
  sandbox: 'none' | 'bwrap' | 'auto'
  /** What the code may have if the upgrade says that it needs it (SPEC H11). */
  allowed: readonly string[]
  /** Where copies are made; removed afterwards. @default the system's temporary directory */
  work?: string | undefined
  progress?(text: string): void
}

export interface Rehearsal {
  object: string
  from: number
  to: number
  ok: boolean
  /** The step that failed, and why. */
  failure: { step: string; reason: string } | null
  /** Of the TF, its copy and syncs included; until the new object has proved its health; both are time without service. */
  transformMs: number
  startMs: number
  stateBytes: number
  /** What a peer checks before it begins. */
  neededBytes: number
  /** What the new state takes. */
  newStateBytes: number
  /** Resident memory of all hosted processes at their highest, looked at every 50 ms; null where the system does not tell. */
  peakMemoryBytes: number | null
  /** Observers asked before and after; null without a specification. */
  observed: number | null
}

const WATCH_MS = 50
const PEER = 'a-rehearsal'

export async function rehearse(init: RehearsalInit): Promise<Rehearsal[]> {
  const files: UpgradeFile[] = []
  const work = await mkdtemp(join(init.work ?? tmpdir(), 'upstart-rehearsal-'))
  try {
    for (const path of [init.upgrade, ...init.parents]) files.push(await openUpgradeFile(path))
    const [upgrade, ...parents] = files.map((one) => one.envelope)
    const observations = await observationsOf(init)
    const found = await findState(init.state, upgrade!, parents, work)
    try {
      const results: Rehearsal[] = []
      for (const held of found.held)
        results.push(await new Stage(init, work, files, found, held, observations).run(upgrade!))
      return results
    } finally {
      found.release()
    }
  } finally {
    await Promise.all(files.map((file) => file.close()))
    await rm(work, { recursive: true, force: true })
  }
}

/** New class → what its specification has to ask. */
async function observationsOf({ source, upgrade, parents }: RehearsalInit): Promise<Map<string, Observations>> {
  const found = new Map<string, Observations>()
  if (source === undefined) return found
  return await withPlan(source, [...parents, upgrade], async ({ classes }) => {
    for (const { spec, new: next } of classes) if (spec !== null) found.set(next.className, await readObservers(spec))
    return found
  })
}

class Stage {
  readonly #init: RehearsalInit
  readonly #work: string
  readonly #files: readonly UpgradeFile[]
  readonly #found: FoundState
  readonly #held: HeldState
  readonly #observations: Map<string, Observations>
  #step = ''

  constructor(
    init: RehearsalInit,
    work: string,
    files: readonly UpgradeFile[],
    found: FoundState,
    held: HeldState,
    observations: Map<string, Observations>
  ) {
    this.#observations = observations
    this.#init = init
    this.#work = work
    this.#files = files
    this.#found = found
    this.#held = held
  }

  async run({ hash, content }: Envelope<Manifest>): Promise<Rehearsal> {
    const { object, version: from, directory } = this.#held
    const place = await freshDirectory(this.#work, object)
    const stateBytes = await sizeOf(directory)
    // The copy that a rehearsal makes comes on top of what a peer needs.
    await checkSpace(directory, place, HOST_DEFAULTS.reserveBytes + stateBytes)
    const copy = join(place, 'old')
    await cp(directory, copy, { recursive: true, mode: constants.COPYFILE_FICLONE, verbatimSymlinks: true })
    const code = await freshDirectory(this.#work, 'code')
    const { sandbox, allowed } = this.#init
    const host = new ChildHost({ directory: join(place, 'host'), sandbox, allowed, codeDirectories: [code] })
    const memory = watchMemory()
    const result: Rehearsal = {
      object,
      from,
      to: content.version,
      ok: false,
      failure: null,
      transformMs: 0,
      startMs: 0,
      stateBytes,
      neededBytes: 2 * stateBytes + HOST_DEFAULTS.reserveBytes,
      newStateBytes: 0,
      peakMemoryBytes: null,
      observed: null
    }
    try {
      await this.#upgrade(host, hash, copy, join(place, 'new'), result)
      result.ok = true
    } catch (error) {
      result.failure = { step: this.#step, reason: (error as Error).message }
    } finally {
      result.peakMemoryBytes = memory()
      await host.close()
    }
    return result
  }

  async #upgrade(host: ChildHost, hash: string, copy: string, fresh: string, result: Rehearsal): Promise<void> {
    const { object, version: from, futures } = this.#held
    const schema = this.#found.log.schemaOf(hash)
    const unpacked = new Map<string, Promise<string>>()
    const path = (sha256: string) => {
      const known = unpacked.get(sha256) ?? this.#bundle(sha256)
      unpacked.set(sha256, known)
      return known
    }
    this.#begin('import of the new code')
    const above = { past: schema.past(object, result.to), current: result.to, future: [] }
    const links = await chainLinks(schema, () => schema, object, above, path)
    const tf = await transformPlan(
      { old: schema, new: schema },
      object,
      { version: from, to: result.to, future: futures },
      path
    )
    const common = { object, peer: PEER, group: null, needs: tf.needs }
    const observations = this.#observations.get(links.at(-1)!.className)
    const asked: Asked = new Map()
    if (observations !== undefined) {
      this.#begin('observers before the upgrade')
      const place = `${copy}-observed`
      await cp(copy, place, { recursive: true, mode: constants.COPYFILE_FICLONE, verbatimSymlinks: true })
      const future = schema.at(object, result.to)!.upgrade.future === null ? [] : [result.to]
      const before = await chainLinks(schema, () => schema, object, { past: [], current: from, future }, path)
      const process = await host.warm({ ...common, attemptDirectory: place, links: before }, outward)
      await process.start()
      await ask(process, before, { from, to: result.to }, observations, asked)
      await process.stop(HOST_DEFAULTS.stopGraceMs)
    }
    const transform = await host.warmTransform({ ...common, ...tf, oldDirectory: copy, newDirectory: fresh })
    const process = await host.warm({ ...common, attemptDirectory: fresh, links }, outward)
    this.#begin('transform')
    const begun = performance.now()
    await transform.run((fraction) => this.#init.progress?.(`${object}: transform ${Math.round(fraction * 100)} %`))
    result.transformMs = Math.round(performance.now() - begun)
    result.newStateBytes = await sizeOf(fresh)
    await this.#prove(process, links, result)
    if (observations !== undefined) {
      this.#begin('observers after the upgrade')
      await ask(process, links, { from, to: result.to }, observations, asked)
      result.observed = asked.size
    }
    this.#begin('stop')
    await process.stop(HOST_DEFAULTS.stopGraceMs)
  }

  async #prove(process: ObjectProcess, links: readonly LinkPlan[], result: Rehearsal): Promise<void> {
    const begun = performance.now()
    this.#begin(`start of versions ${links.map((link) => link.version).join(', ')}`)
    await process.start()
    this.#begin('health probe')
    await process.health()
    result.startMs = Math.round(performance.now() - begun)
  }

  #begin(step: string): void {
    this.#step = step
    this.#init.progress?.(`${this.#held.object}: ${step}`)
  }

  /** From the upgrade files given, else from the peer whose state it is, which has compared it with its hash. */
  async #bundle(sha256: string): Promise<string> {
    const directory = join(this.#work, 'code', sha256)
    const file = this.#files.find((one) => one.envelope.content.bundle.sha256 === sha256)
    if (file !== undefined) await unpackBundle(file.bundle(), directory, file.envelope.content.bundle)
    else {
      const known = this.#found.bundles === null ? null : join(this.#found.bundles, sha256)
      const isThere = known !== null && existsSync(known)
      if (!isThere)
        throw new Error(
          `the code of an earlier version is needed (bundle ${sha256.slice(0, 16)}); give its upgrade file as --parent`
        )
      await cp(known, directory, { recursive: true })
    }
    return directory
  }
}

/** Call → its answer. */
type Asked = Map<string, string>
const ASK_MS = 10_000

/** Q21: every observer answers or refuses, and what was answered before is answered the same after. */
async function ask(
  process: ObjectProcess,
  links: readonly LinkPlan[],
  { from, to }: { from: number; to: number },
  observations: Observations,
  asked: Asked
): Promise<void> {
  process.serve()
  for (const side of ['old', 'new'] as const) {
    const version = side === 'old' ? from : to
    if (!links.some((link) => link.version === version)) continue
    for (const { method, args } of observations[side]) {
      const callId = `rehearsal-${side}-${method}`
      const answer = await process
        .call({ version, method, args: [...args], callId, held: false, timeoutMs: ASK_MS })
        .then(
          (value) => keyOf(value),
          (error: Error) => {
            if (error.name === 'Disallowed') return null
            throw error
          }
        )
      const call = `${method}(${args.map(keyOf).join(', ')})@${version}`
      const before = asked.get(call)
      if (answer === null) continue
      if (before !== undefined && before !== answer)
        throw new Error(`${call} answers ${answer}, and answered ${before} before the upgrade`)
      asked.set(call, answer)
    }
  }
}

/** A rehearsal reaches nobody: what the object calls is away. */
const outward: Outward = {
  call: ({ class: name, method }) =>
    Promise.reject(new CallError('Unavailable', `a rehearsal reaches no other node; it called ${name}.${method}`)),
  members: () => [],
  log: () => undefined
}

/** @returns ends it, and answers the highest that was seen */
function watchMemory(): () => number | null {
  let peak = 0
  const look = async () => {
    peak = Math.max(peak, (await residentBytesOf(process.pid)) - process.memoryUsage().rss)
  }
  const timer = setInterval(() => void look(), WATCH_MS)
  return () => {
    clearInterval(timer)
    return peak > 0 ? peak : null
  }
}
