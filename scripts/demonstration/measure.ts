/** What the machine can do, measured beside what the fleet does: the start of a bare node process, and an fsync. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { median } from './report.ts'

const TIMES = 5

export async function nodeStartMs(): Promise<number> {
  return await medianOf(async () => {
    await once(spawn(process.execPath, ['--eval', '0'], { stdio: 'ignore' }), 'exit')
  })
}

export async function fsyncMs(directory: string): Promise<number> {
  const path = join(directory, 'fsync')
  const file = await open(path, 'w')
  try {
    return await medianOf(async () => {
      await file.write(Buffer.alloc(4096, 1), 0, 4096, 0)
      await file.sync()
    })
  } finally {
    await file.close()
    await rm(path)
  }
}

async function medianOf(act: () => Promise<void>): Promise<number> {
  const times: number[] = []
  for (let time = 0; time < TIMES; time++) {
    const begun = performance.now()
    await act()
    times.push(performance.now() - begun)
  }
  return median(times)
}
