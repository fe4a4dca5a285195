/**
 * Power cuts: `main.ts [POINTS] [SEED]` in simulated fleets, until the power went so often; `main.ts --disks [PEERS] [SEED]`
 * under the real store and real peers. Prints how often at which step; exits with 1 if anything was lost.
 */
import { commitOf } from '../../sim/commit.ts'
import type { Cuts } from '../../sim/power.ts'
import { addCuts, cutRun } from './cut.ts'
import { cutDaemon } from './daemon.ts'
import { cannotRecord, cutStore, type DiskCuts } from './store.ts'

/** Commits of one recorded store: some twenty steps each, eight disks a step. */
const COMMITS = 100

const isOnDisks = process.argv[2] === '--disks'
const [wanted = isOnDisks ? 200 : 100_000, first = 1] = process.argv.slice(isOnDisks ? 3 : 2).map(Number)
if (![wanted, first].every((one) => Number.isInteger(one) && one > 0)) {
  console.error('scripts/crash-points [POINTS] [SEED], or --disks [DISKS] [SEED]: whole numbers from 1 on')
  process.exit(2)
}

const commit = commitOf()
const begunMs = performance.now()
const took = (): string => `${((performance.now() - begunMs) / 1000).toFixed(1)} s, commit ${commit}`

function simulated(): boolean {
  const all: Cuts = {}
  let points = 0
  let seed = first
  let broken = 0
  for (; points < wanted; seed++) {
    const run = cutRun(seed, commit)
    points += addCuts(all, run)
    if (run.violation === undefined) continue
    broken += 1
    console.log(`seed ${seed}: ${run.violation}`)
  }
  const rows = Object.entries(all).sort(([a], [b]) => a.localeCompare(b))
  console.log('the power went                       before    after')
  for (const [step, { before, after }] of rows)
    console.log(`${step.padEnd(34)}${String(before).padStart(9)}${String(after).padStart(9)}`)
  console.log(`${points} crash points in ${seed - first} histories, ${broken} of them broken; ${took()}`)
  return broken > 0
}

function say(what: string, { disks, steps, acknowledged, broken }: DiskCuts): boolean {
  for (const one of broken) console.log(`  ${one}`)
  const many = broken.length === 0 ? 'none' : `${broken.length} or more`
  console.log(
    `${what}: ${disks} disks along ${steps} steps with ${acknowledged} acknowledgements, ${many} broken; ${took()}`
  )
  return broken.length > 0
}

async function onDisks(): Promise<boolean> {
  const lacking = cannotRecord()
  if (lacking !== undefined) {
    console.log(`skipped: ${lacking}`)
    return false
  }
  const isStoreBroken = say('the store', cutStore(first, COMMITS))
  const peers = await cutDaemon(first, wanted, (done) => process.stderr.write(`\r${done} of ${wanted} peers started`))
  process.stderr.write('\n')
  return say('a peer that upgrades while it is written to', peers) || isStoreBroken
}

// Processes that peers hosted may still be on their way out.
process.exit((isOnDisks ? await onDisks() : simulated()) ? 1 : 0)
