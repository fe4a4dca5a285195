/**
 * Makes a failing scenario smaller while it breaks the same rule (SPEC M47): delta debugging over its groups, faults and
 * actions, then one simplification after the other. Every try is a whole run, so their number is bounded.
 */
import { calmHost } from '../host.ts'
import { calmNetwork } from '../network.ts'
import type { Scenario } from '../scenario.ts'
import { mayGo, withActions, withoutGroup } from './parts.ts'

export interface Shrunk {
  scenario: Scenario
  /** How often it was run. */
  runs: number
}

/** @param breaks whether a scenario breaks the rule; `runs` bounds how often it is asked. */
export function shrink(failing: Scenario, breaks: (candidate: Scenario) => boolean, runs: number): Shrunk {
  let best = failing
  let asked = 0
  const takes = (candidate: Scenario): boolean => {
    if (asked >= runs) return false
    asked += 1
    if (!breaks(candidate)) return false
    best = candidate
    return true
  }
  for (let before = ''; before !== JSON.stringify(best) && asked < runs; ) {
    before = JSON.stringify(best)
    dropGroups(() => best, takes)
    const faults = reduced(best.faults, (left) => takes({ ...best, faults: left }), mayGo)
    if (faults.length !== best.faults.length) throw new Error('the best scenario has the faults that were left')
    dropActions(() => best, takes)
    for (const simpler of SIMPLER) {
      const candidate = simpler(best)
      if (JSON.stringify(candidate) !== JSON.stringify(best)) takes(candidate)
    }
  }
  return { scenario: best, runs: asked }
}

/** Tries a list without half of its items, a quarter … one; `takes` says which lists do. */
function reduced<Item>(
  items: readonly Item[],
  takes: (left: Item[]) => boolean,
  mayGo: (item: Item) => boolean
): Item[] {
  let left = [...items]
  for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < left.length; ) {
      const without = left.filter((item, index) => index < from || index >= from + size || !mayGo(item))
      if (without.length < left.length && takes(without)) left = without
      else from += size
    }
  }
  return left
}

function dropActions(best: () => Scenario, takes: (candidate: Scenario) => boolean): void {
  // What is left out may take others with it, so that each try begins with the actions that are left.
  for (let size = Math.ceil(best().actions.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 1; from < best().actions.length; ) {
      const { actions } = best()
      const candidate = withActions(
        best(),
        actions.filter((_, index) => index < from || index >= from + size)
      )
      if (candidate.actions.length === actions.length || !takes(candidate)) from += size
    }
  }
}

function dropGroups(best: () => Scenario, takes: (candidate: Scenario) => boolean): void {
  const count = ({ peers, groupSize }: Scenario) => Math.ceil(peers / Math.max(1, groupSize))
  for (let group = count(best()) - 1; group >= 0; group--) {
    const candidate = withoutGroup(best(), group)
    if (candidate !== undefined) takes(candidate)
  }
}

/** Each makes one thing as simple as it can be. */
const SIMPLER: readonly ((from: Scenario) => Scenario)[] = [
  (from) => ({ ...from, network: { ...calmNetwork, delayMs: from.network.delayMs } }),
  (from) => ({ ...from, network: { ...from.network, loss: 0, raw: false, duplication: 0 } }),
  (from) => ({ ...from, network: { ...from.network, delayMs: calmNetwork.delayMs } }),
  (from) => ({ ...from, host: { ...from.host, failures: {} } }),
  (from) => ({ ...from, host: { ...from.host, durationsMs: calmHost.durationsMs } }),
  (from) => ({ ...from, disk: { syncMs: [0.5, 3], storeMs: [2, 10] } }),
  (from) => ({ ...from, lateShare: 0 }),
  (from) => ({ ...from, limits: {} }),
  (from) => ({ ...from, lineages: from.lineages.slice(0, 1) }),
  (from) => ({ ...from, writesPerSecond: 0 }),
  (from) => ({ ...from, calls: { ...from.calls, perSecond: 0 } }),
  (from) => ({
    ...from,
    actions: from.actions.map((one) => (one.what === 'upgrade' ? { ...one, pieces: 1 } : one))
  })
]
