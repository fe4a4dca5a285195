/** What `--out DIR` writes (SPEC M31): the report, its plots, and all that it was made of. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Refusal } from '../../src/errors.ts'
import type { Run } from '../outcome.ts'
import { runsOf, seriesOf } from './csv.ts'
import { reportOf } from './page.ts'

export async function writeReport(
  directory: string,
  runs: readonly Run[],
  description: string,
  command: string
): Promise<void> {
  const { html, plots } = reportOf(runs, description, command)
  const files = {
    'report.html': html,
    'series.csv': seriesOf(runs),
    'runs.csv': runsOf(runs),
    'runs.jsonl': runs.map((run) => `${JSON.stringify(run)}\n`).join(''),
    ...Object.fromEntries(Object.entries(plots).map(([name, svg]) => [`${name}.svg`, `${svg}\n`]))
  }
  try {
    await mkdir(directory, { recursive: true })
    await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(directory, name), text)))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new Refusal('Usage', `--out ${directory}: ${code ?? message}; name a directory that can be written`)
  }
}
