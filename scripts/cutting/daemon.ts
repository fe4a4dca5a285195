/**
 * Power cuts under a real peer (SPEC M63): a peer and what it hosts are recorded from its first start through an upgrade;
 * of moments drawn from all, disks as a cut may leave them are made, and a new peer is started on each. It must come up,
 * hold every write that was acknowledged, and reach every version that was.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPeer, type RunningPeer } from '../../node/index.ts'
import { Generator } from '../../src/prng.ts'
import { until } from '../../test/node/daemon/live-fleet.ts'
import { testFleet } from '../../test/src/upgrade/fleet.ts'
import { DiskModel, type Loss, materialise } from './image.ts'
import type { DiskCuts } from './store.ts'
import { recorder, type Step, stepsIn } from './trace.ts'

const LOSSES: Loss[] = ['all', 'none', 'data', 'names', 'some', 'some']

/** What the program under record was told, and what it had asked for. */
interface Known {
  version: number
  acknowledged: number[]
}

interface Recording {
  data: string
  folder: string
  steps: Step[]
}

function record(): Recording {
  const folder = mkdtempSync(join(tmpdir(), 'upstart-cuts-'))
  const [acknowledgements, trace] = ['acknowledged', 'trace'].map((name) => join(folder, name))
  const [command, ...options] = recorder(trace!)
  const work = join(import.meta.dirname, 'daemon-work.ts')
  const { status, stdout, stderr } = spawnSync(command!, [...options, process.execPath, work, acknowledgements!], {
    maxBuffer: 1024 * 1024,
    encoding: 'utf8'
  })
  if (status !== 0) throw new Error(`the program under record ended with ${status}: ${stderr}`)
  const data = join(stdout.trim(), 'p0')
  renameSync(data, join(folder, 'left'))
  return { data, folder, steps: stepsIn(readFileSync(trace!, 'latin1'), data, acknowledgements!) }
}

export async function cutDaemon(seed: number, disks: number, told: (done: number) => void): Promise<DiskCuts> {
  const { data, folder, steps } = record()
  const random = new Generator(seed, 4)
  const chosen = Map.groupBy(
    Array.from({ length: disks }, () => random.below(steps.length)),
    (index) => index
  )
  const model = new DiskModel(data)
  const known: Known = { version: 0, acknowledged: [] }
  const result: DiskCuts = { disks: 0, steps: steps.length, acknowledged: 0, broken: [] }
  try {
    for (const [index, step] of steps.entries()) {
      model.apply(step)
      if (step.what === 'acknowledge') note(known, step.text.trim(), result)
      for (const _ of chosen.get(index) ?? []) {
        const loss = random.pick(LOSSES)
        materialise(model.after(loss, random), data, data)
        const wrong = await wrongWith(data, known)
        rmSync(data, { recursive: true, force: true })
        result.disks += 1
        told(result.disks)
        if (wrong !== undefined && result.broken.length < 8)
          result.broken.push(`step ${index} (${step.what}), loss ${loss}, version ${known.version}: ${wrong}`)
      }
    }
    return result
  } finally {
    rmSync(folder, { recursive: true, force: true })
    rmSync(join(data, '..'), { recursive: true, force: true })
  }
}

function note(known: Known, said: string, result: DiskCuts): void {
  const [what, number] = said.split(' ')
  if (what === 'version') known.version = Number(number)
  if (what === 'insert') known.acknowledged.push(Number(number))
  if (what !== 'try') result.acknowledged += 1
}

async function wrongWith(data: string, { version, acknowledged }: Known): Promise<string | undefined> {
  let peer: RunningPeer | undefined
  try {
    const started = await createPeer({ data, root: testFleet().rootBytes, sandbox: 'none' })
    peer = started
    const serves = () =>
      started.status().objects['IntSet']?.serving === true ? started.status().objects['IntSet']!.version : 0
    if (version > 0)
      await until(
        'it serves',
        () => serves() >= version,
        30_000,
        () => started.status().objects
      )
    for (const element of acknowledged) {
      const call = { class: 'IntSet', version: 1, method: 'contains', args: [element], timeoutMs: 20_000 }
      if ((await started.call(call)) !== true) return `write ${element} is lost at version ${serves()}`
    }
    return undefined
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`.slice(0, 600)
  } finally {
    await peer?.close()
  }
}
