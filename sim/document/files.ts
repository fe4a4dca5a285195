/** Scenario files, and what they name, from the disk (SPEC M28, M1: I/O of the command line, none of a run). */
import { open, readdir, readFile } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { extract } from 'tar-stream'
import { z } from 'zod'
import { Refusal } from '../../src/errors.ts'
import { parseEntry } from '../../src/upgrade/entry.ts'
import { MAX_ENTRY_BYTES } from '../../src/upgrade/manifest.ts'
import { type Override, overrideOf, ScenarioText, Unfit } from './document.ts'
import { type Enclosed, type RealRehearsal, type RealUpgrade, realUpgrade } from './enclosed.ts'
import type { Document } from './schema.ts'

const MAX_SCENARIO_BYTES = 4 * 1024 * 1024
/** A tar header, the entry, and what fills its last block. */
const HEAD_BYTES = 512 + MAX_ENTRY_BYTES + 512

/** Beside the sources in a checkout; a build leaves them where they are. */
const READY = ['../scenarios/', '../../../sim/scenarios/'].map((path) => new URL(path, import.meta.url))

async function readyFolder(): Promise<{ folder: URL; names: string[] }> {
  for (const folder of READY) {
    try {
      const files = await readdir(folder)
      return { folder, names: files.filter((name) => name.endsWith('.yaml')).map((name) => basename(name, '.yaml')) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return { folder: READY[0]!, names: [] }
}

export interface ReadyScenario {
  name: string
  text: string
}

export async function readyScenarios(): Promise<ReadyScenario[]> {
  const { folder, names } = await readyFolder()
  return Promise.all(
    names.sort().map(async (name) => ({ name, text: await readFile(new URL(`${name}.yaml`, folder), 'utf8') }))
  )
}

export interface Loaded {
  /** What it is called in results. */
  name: string
  text: ScenarioText
  document: Document
  enclosed: Enclosed
}

/** @param named a file, or the name of a ready scenario; undefined: the calm fleet that an empty file describes. */
export async function loadScenario(named: string | undefined, overrides: readonly Override[]): Promise<Loaded> {
  const { name, text: written, folder } = named === undefined ? empty() : await textOf(named)
  const text = new ScenarioText(named ?? 'flags', written, overrides)
  const document = text.document()
  const enclosed: Enclosed = { upgrades: {}, rehearsals: {} }
  for (const [index, { file, transform }] of [document.install, ...document.upgrades].entries()) {
    const path = index === 0 ? ['install'] : ['upgrades', index - 1]
    if (file !== undefined)
      enclosed.upgrades[file] ??= await about(text, [...path, 'file'], readUpgrade(resolve(folder, file)))
    if (transform !== undefined && 'rehearsal' in transform) {
      const rehearsal = resolve(folder, transform.rehearsal)
      enclosed.rehearsals[transform.rehearsal] ??= await about(text, [...path, 'transform'], readRehearsal(rehearsal))
    }
  }
  return { name, text, document, enclosed }
}

const empty = () => ({ name: 'calm', text: '', folder: process.cwd() })

/** What a file is refused for is said of the field that names it. */
async function about<T>(text: ScenarioText, path: (string | number)[], read: Promise<T>): Promise<T> {
  try {
    return await read
  } catch (error) {
    if (error instanceof Refusal) throw text.refusal(path, error.message)
    throw error
  }
}

/** @throws Refusal with the place of the field that does not fit. */
export function fitting<T>({ text }: Loaded, compiled: () => T): T {
  try {
    return compiled()
  } catch (error) {
    if (error instanceof Unfit) throw text.refusal(error.path, error.message)
    throw error
  }
}

async function textOf(named: string): Promise<{ name: string; text: string; folder: string }> {
  const isPath = extname(named) !== '' || named.includes('/')
  if (!isPath) {
    const { folder, names } = await readyFolder()
    if (!names.includes(named))
      throw new Refusal(
        'Usage',
        `there is no ready scenario "${named}"; there are ${names.join(', ')} (or name a file, like ./${named}.yaml)`
      )
    return { name: named, text: await readFile(new URL(`${named}.yaml`, folder), 'utf8'), folder: process.cwd() }
  }
  const bytes = await bytesOf(named, MAX_SCENARIO_BYTES, 'name a scenario file')
  if (bytes.length === MAX_SCENARIO_BYTES)
    throw new Refusal('Oversize', `${named}: a scenario file is smaller than ${MAX_SCENARIO_BYTES} bytes`)
  return { name: basename(named, extname(named)), text: bytes.toString('utf8'), folder: dirname(resolve(named)) }
}

/** At most so many of a file's first bytes. */
async function bytesOf(path: string, most: number, mend: string): Promise<Buffer> {
  try {
    const file = await open(path, 'r')
    try {
      const bytes = Buffer.alloc(Math.min(most, (await file.stat()).size))
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
      return bytes.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a directory' : code
    throw new Refusal('Usage', `${path}: ${why}; ${mend}`)
  }
}

/** An upgrade file is a tar whose first member is the entry; its signatures do not matter to a simulation. */
async function readUpgrade(path: string): Promise<RealUpgrade> {
  const head = await bytesOf(path, HEAD_BYTES, 'name a file that "upstart pack" wrote')
  const archive = extract()
  Readable.from([head])
    .on('error', (error) => archive.destroy(error))
    .pipe(archive)
  const refusal = (why: string) => new Refusal('Malformed', `${path}: ${why}; name a file that "upstart pack" wrote`)
  try {
    for await (const member of archive) {
      if (member.header.name !== 'entry.json' || (member.header.size ?? 0) > MAX_ENTRY_BYTES) break
      const parts: Uint8Array[] = []
      for await (const part of member) parts.push(part as Uint8Array)
      return realUpgrade(parseEntry(new Uint8Array(Buffer.concat(parts))).content)
    }
  } catch (error) {
    throw refusal(`it is no upgrade file (${(error as Error).message})`)
  }
  throw refusal('it does not begin with entry.json')
}

/** A schedule for --compare: of an upgrade file, of a YAML file, or what can stand in a scenario (a name, a condition). */
export async function scheduleIn(written: string): Promise<unknown> {
  if (written.endsWith('.upgrade')) {
    const { classes } = await readUpgrade(resolve(written))
    return classes[0]!.schedule
  }
  if (!/\.ya?ml$/.test(written)) return overrideOf('--compare', 'schedule', written).value
  const bytes = await bytesOf(written, MAX_SCENARIO_BYTES, 'name a file with a schedule')
  return new ScenarioText(written, bytes.toString('utf8')).plain
}

/** What `upstart rehearse --json` answers; fields beside these are of no use here. */
const rehearsalSchema = z.object({
  ok: z.boolean(),
  objects: z.array(z.object({ transformMs: z.number().min(0), startMs: z.number().min(0) })).min(1)
})

async function readRehearsal(path: string): Promise<RealRehearsal> {
  const mend = 'name what "upstart rehearse … --json" wrote'
  const text = (await bytesOf(path, MAX_SCENARIO_BYTES, mend)).toString('utf8')
  let told: unknown
  try {
    told = JSON.parse(text)
  } catch (error) {
    throw new Refusal('Malformed', `${path}: no JSON (${(error as Error).message}); ${mend}`)
  }
  const parsed = rehearsalSchema.safeParse(told)
  if (!parsed.success) throw new Refusal('Malformed', `${path}: no answer of a rehearsal; ${mend}`)
  const { ok, objects } = parsed.data
  if (!ok)
    throw new Refusal('Malformed', `${path}: this rehearsal failed; mend the upgrade and rehearse it again first`)
  return {
    transformMs: Math.max(...objects.map((one) => one.transformMs)),
    proveMs: Math.max(...objects.map((one) => one.startMs))
  }
}
