/**
 * `upstart sim` (SPEC C16): the simulator in a process of its own, since nothing of this program may import it and a large
 * fleet wants a heap of its own size. Arguments, streams and the exit code pass through.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants, totalmem } from 'node:os'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { getHeapStatistics } from 'node:v8'
import type { Command } from 'commander'
import { Refusal } from '../../src/errors.ts'

/** Another program did the work, and this is how it ended. */
export class Ended extends Error {
  readonly code: number
  constructor(code: number) {
    super(`ended with ${code}`)
    this.name = 'Ended'
    this.code = code
  }
}

const MIB = 1024 * 1024
/** Of the machine's memory, what the simulator's heap may take. */
const HEAP_SHARE = 0.75

/** A million peers need more than the heap that node grants by itself; who sets NODE_OPTIONS knows better. */
function heapOption(): string[] {
  const wantedMib = Math.floor((totalmem() * HEAP_SHARE) / MIB)
  const granted = getHeapStatistics().heap_size_limit / MIB
  const isSet = process.env['NODE_OPTIONS']?.includes('--max-old-space-size') === true
  return isSet || wantedMib <= granted ? [] : [`--max-old-space-size=${wantedMib}`]
}

async function simulated(args: readonly string[]): Promise<number> {
  // Beside this file in a checkout, beside its build in a package: either has the extension that this file has.
  const main = fileURLToPath(new URL(`../../sim/main${extname(import.meta.url)}`, import.meta.url))
  if (!existsSync(main)) throw new Refusal('Usage', `${main} is missing; install this package anew`)
  const child = spawn(process.execPath, [...heapOption(), main, ...args], { stdio: 'inherit' })
  // A terminal sends its signals to both; what others send to this one is passed on.
  const passOn = (signal: NodeJS.Signals) => child.kill(signal)
  process.on('SIGTERM', passOn).on('SIGINT', passOn)
  try {
    return await new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal!]))
    })
  } finally {
    process.off('SIGTERM', passOn).off('SIGINT', passOn)
  }
}

/** @param args the whole command line: what stands after `sim` is the simulator's, whatever this program would make of it */
export function simCommands(program: Command, args: readonly string[]): void {
  program
    .command('sim')
    .description('try a roll-out on a simulated fleet of the real size: "upstart sim --help"')
    .argument('[arguments...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async () => {
      const at = args.indexOf('sim')
      const code = await simulated([...args.slice(at + 1), ...(args.slice(0, at).includes('--json') ? ['--json'] : [])])
      if (code !== 0) throw new Ended(code)
    })
}
