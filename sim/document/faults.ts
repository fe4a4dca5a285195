/** The faults of a scenario file: which peers are struck, and when, drawn from the run's seed (SPEC M28). */
import { Generator } from '../../src/prng.ts'
import { labelsOf, matches } from '../places.ts'
import type { Fault, Scenario } from '../scenario.ts'
import { Unfit } from './document.ts'
import type { Document, DocumentFault } from './schema.ts'

const FAULTS_STREAM = 9
const CHURN_STREAM = 10

export function strikes(document: Document, scenario: Scenario): Fault[] {
  const random = new Generator(scenario.seed, FAULTS_STREAM)
  const faults = document.faults.flatMap((fault, index) => strike(random, fault, scenario, ['faults', index]))
  faults.push(...churn(document, scenario))
  return faults.sort((a, b) => a.atMs - b.atMs)
}

function strike(random: Generator, fault: DocumentFault, scenario: Scenario, path: (string | number)[]): Fault[] {
  if (fault.what === 'stop') return [{ atMs: fault.at, what: 'stop' }]
  const nodes = chosen(random, fault, scenario, path)
  if (fault.what === 'partition') {
    const cells = new Array<number>(scenario.peers).fill(0)
    for (const node of nodes) cells[node] = 1
    return [
      { atMs: fault.at, what: 'partition', cells },
      { atMs: fault.at + fault.for, what: 'heal' }
    ]
  }
  return nodes.flatMap((node) => one(random, fault, node, fault.at + random.fraction() * fault.over, scenario, path))
}

function one(
  random: Generator,
  fault: Exclude<DocumentFault, { what: 'stop' | 'partition' }>,
  node: number,
  atMs: number,
  { peers }: Scenario,
  path: (string | number)[]
): Fault[] {
  switch (fault.what) {
    case 'crash':
      return [
        { atMs, what: 'crash', node, downMs: fault.down[0] + random.fraction() * (fault.down[1] - fault.down[0]) }
      ]
    case 'flap':
      return [{ atMs, what: 'flap', node, share: fault.links }]
    case 'slow': {
      const slow: Fault = { atMs, what: 'slow', node, delayMs: fault.delay, factor: fault.factor }
      return fault.for === undefined
        ? [slow]
        : [slow, { atMs: atMs + fault.for, what: 'slow', node, delayMs: 0, factor: 1 }]
    }
    case 'skew':
      return [{ atMs, what: 'skew', node, skewMs: signed(fault.by, path) }]
    case 'load':
      return [
        { atMs, what: 'load', node, perSecond: fault.calls },
        { atMs: atMs + fault.for, what: 'load', node, perSecond: 0 }
      ]
    case 'lock':
      return [{ atMs, what: 'lock', node, forMs: fault.for }]
    case 'forge':
      return [{ atMs, what: 'forge', node, from: random.below(peers) }]
    default:
      return [{ atMs, what: fault.what, node }]
  }
}

/** A duration with a sign: a clock is ahead or behind. */
function signed(by: string | number, path: (string | number)[]): number {
  const found = /^\s*([+-]?)(\d+)\s*(ms|s|m|h)?\s*$/.exec(String(by))
  if (found === null) throw new Unfit([...path, 'by'], `"${by}" is no distance in time; write it like +10m or -30s`)
  const ms =
    Number(found[2]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[(found[3] ?? 'ms') as 'ms' | 's' | 'm' | 'h']
  return found[1] === '-' ? -ms : ms
}

interface Choice {
  nodes?: number[] | undefined
  count?: number | undefined
  share?: number | undefined
  where: Record<string, string[]>
}

function chosen(
  random: Generator,
  { nodes, count, share, where }: Choice,
  scenario: Scenario,
  path: (string | number)[]
): number[] {
  const { peers } = scenario
  const beyond = nodes?.find((node) => node >= peers)
  if (beyond !== undefined) throw new Unfit([...path, 'nodes'], `peer ${beyond}: peers are 0 to ${peers - 1}`)
  const everybody = nodes ?? Array.from({ length: peers }, (_, node) => node)
  const alike =
    Object.keys(where).length === 0 ? everybody : everybody.filter((node) => matches(labelsOf(scenario, node), where))
  if (alike.length === 0) throw new Unfit([...path, 'where'], 'no peer has these labels; see "labels" and "topology"')
  if (count === undefined && share === undefined) return alike
  return random.sample(alike, count ?? Math.round(alike.length * share!))
}

/** Peers stay for a time, are away for another, and come back or do not; peer 0 stays, so that somebody does. */
function churn(document: Document, { seed, peers }: Scenario): Fault[] {
  if (document.churn === undefined) return []
  const { stay, away, forever, from, until } = document.churn
  const random = new Generator(seed, CHURN_STREAM)
  const drawn = (meanMs: number) => -Math.log(1 - random.fraction()) * meanMs
  const faults: Fault[] = []
  for (let node = 1; node < peers; node++) {
    for (let atMs = from + drawn(stay); atMs < until; atMs += drawn(stay)) {
      if (random.chance(forever)) {
        faults.push({ atMs, what: 'depart', node })
        break
      }
      const downMs = drawn(away)
      faults.push({ atMs, what: 'crash', node, downMs })
      atMs += downMs
    }
  }
  return faults
}
