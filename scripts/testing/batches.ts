/** How all tests are divided among mocha processes, and in what order these begin. */
import { globSync } from 'node:fs'
import { dirname, sep } from 'node:path'
import type { Batch } from './pool.ts'

/** Where tests start processes or peers, and bound what they wait for in real time. */
const TIMED = [
  'test/node/bundles/',
  'test/node/calls/',
  'test/node/daemon/',
  'test/node/host/',
  'test/node/network/',
  'test/node/client.test.ts',
  'test/node/cli/rehearse.test.ts',
  'test/scripts/',
  'test/docs/',
  'test/examples/kv/hosted.test.ts',
  'test/examples/files/live.test.ts'
]

/** Files that take longest, the longest first: begun last, they would be waited for at the end. The order is no matter of right or wrong. */
export const LONGEST = [
  'test/examples/files/check.test.ts',
  'test/node/cli/messages.test.ts',
  'test/node/daemon/crash-steps.test.ts',
  'test/scripts/demonstration/demo.test.ts',
  'test/scripts/demonstration/schedules.test.ts',
  'test/node/daemon/partition.test.ts',
  'test/scripts/torturing.test.ts',
  'test/node/daemon/eclipse.test.ts',
  'test/examples/kv/model.test.ts',
  'test/sim/simulator.test.ts',
  'test/examples/sets/oracles.test.ts',
  'test/node/daemon/canary.test.ts',
  'test/docs/writing-upgrades.test.ts',
  'test/node/cli/main.test.ts',
  'test/node/cli/check.test.ts',
  'test/node/daemon/crash.test.ts'
]

/** Folders whose files are short and share nothing but memory: one process for each. */
const TOGETHER = /^test\/src(\/|$)|^test\/node\/pack$|^test$/

export function allBatches(): Batch[] {
  const files = globSync('test/**/*.test.ts').map((file) => file.replaceAll(sep, '/'))
  const place = (file: string) => (LONGEST.includes(file) ? LONGEST.indexOf(file) : LONGEST.length)
  const ordered = files.sort((a, b) => place(a) - place(b) || a.localeCompare(b))
  const processes = Map.groupBy(ordered, (file) => (TOGETHER.test(dirname(file)) ? dirname(file) : file))
  return [...processes.values()].map((args) => ({
    args,
    computes: !args.some((file) => TIMED.some((prefix) => file.startsWith(prefix)))
  }))
}
