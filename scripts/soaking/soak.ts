/** Real peers that upgrade again and again under load, and what each of their daemons holds meanwhile (SPEC X9). */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Generator } from '../../src/prng.ts'
import { namesOf } from '../demonstration/fleet.ts'
import { Course } from '../torturing/course.ts'
import type { Sample } from './slope.ts'

export interface SoakInit {
  minutes: number
  peers: number
  sampleMs: number
}

export interface SoakReport {
  upgrades: number
  minutes: number
  acknowledged: number
  lost: string[]
  failures: [text: string, count: number][]
  /** By peer, from when all ran version 1. */
  samples: Map<string, Sample[]>
}

const PACE = { workers: 1, pauseMs: 400 }
const SAMPLER = join(import.meta.dirname, 'sampler.ts')

/** Ends with the first upgrade after `minutes`. */
export async function soak({ minutes, peers, sampleMs }: SoakInit, say: (line: string) => void): Promise<SoakReport> {
  const directory = await mkdtemp(join(tmpdir(), 'upstart-soak-'))
  const samplesOf = (name: string) => join(directory, `${name}.samples`)
  const named = namesOf(peers).map((one) => ({
    ...one,
    environment: {
      NODE_OPTIONS: `--import=${SAMPLER}`,
      UPSTART_SOAK_SAMPLES: samplesOf(one.name),
      UPSTART_SOAK_EVERY_MS: String(sampleMs)
    }
  }))
  const random = new Generator(1)
  const course = new Course({ directory, peers: named, random, pace: PACE, heard: () => undefined })
  const kill = () => course.kill()
  process.on('exit', kill)
  const run = async (): Promise<SoakReport> => {
    await course.start()
    await course.release(1)
    const begunMs = performance.now()
    const took = () => (performance.now() - begunMs) / 60_000
    const before = new Map<string, number>()
    for (const { name } of named) before.set(name, (await read(samplesOf(name))).length)
    let version = 1
    while (took() < minutes) {
      version += 1
      await course.release(version)
      await course.reach(version)
      say(`${took().toFixed(1).padStart(6)} min  ${await course.look(version)}`)
    }
    const samples = new Map<string, Sample[]>()
    for (const { name } of named) samples.set(name, (await read(samplesOf(name))).slice(before.get(name)))
    const { acknowledged, lost, failures } = course.load
    return { upgrades: version - 1, minutes: took(), acknowledged, lost, failures: [...failures], samples }
  }
  try {
    return await course.guard(run, say)
  } finally {
    await course.end()
    process.off('exit', kill)
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function read(path: string): Promise<Sample[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    // A daemon that is so young has not told anything.
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const lines = text.split('\n').filter((line) => line.endsWith('}'))
  return lines.map((line) => JSON.parse(line) as Sample)
}
