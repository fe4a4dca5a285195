/** Plants a defect into a copy of the sources and lets the swarm look for it (SPEC M48). */
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Found } from '../../sim/swarm/first.ts'
import type { Bug } from './bugs.ts'

const ROOT = join(import.meta.dirname, '../..')
/** For one defect: a run that a defect makes endless is stopped, and is no find. */
const BOUND_MS = 20 * 60_000

/** The file with the defect in it. @throws if its text is not there once */
export async function planted({ file, from, to, what }: Bug): Promise<string> {
  const parts = (await readFile(join(ROOT, 'src', file), 'utf8')).split(from)
  if (parts.length !== 2) throw new Error(`${file} (${what}): ${from} is there ${parts.length - 1} times, not once`)
  return parts.join(to)
}

/** What the first of these seeds finds; null: nothing does. */
export async function find(bug: Bug, seed: number, count: number): Promise<Found | null> {
  const text = await planted(bug)
  const directory = await mkdtemp(join(tmpdir(), 'upstart-planted-'))
  try {
    await writeFile(join(directory, 'package.json'), '{ "type": "module" }')
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
    for (const part of ['src', 'sim']) await cp(join(ROOT, part), join(directory, part), { recursive: true })
    await writeFile(join(directory, 'src', bug.file), text)
    const args = [join(directory, 'sim/swarm/first.ts'), `${seed}`, `${count}`]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: BOUND_MS })
    return JSON.parse(stdout) as Found | null
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
