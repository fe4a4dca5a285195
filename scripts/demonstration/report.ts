/** What the demo found, in numbers and as people read it (SPEC X5). */
import type { AnsweredCount } from '../../node/daemon/callee.ts'
import type { Kill } from './chaos.ts'
import type { Victim } from './fleet.ts'
import type { LoadReport, Version } from './load.ts'
import { count, type Paint } from './view.ts'

export interface Findings {
  /** For each peer: its name, what it runs at the end, how long it was away, what it answered during the roll-out. */
  peers: { name: string; version: number; serving: boolean; unavailableMs: number | null; answered: AnsweredCount[] }[]
  load: LoadReport
  groupDownMax: number
  rollOutMs: number
  durationMs: number
  nodeStartMs: number
  fsyncMs: number
  /** Null where nobody was killed. */
  chaos: { seed: number; kills: Kill[] } | null
}

/** Calls that peers answered, by what the caller's node and their own ran, and by the version called. */
export interface Pair {
  caller: number
  callee: number
  at: Record<Version, number>
}

export interface Report {
  peers: number
  upgraded: number
  version: number
  /** Of the clients. Every call that did not end with a result is a failed one, whatever its outcome. */
  calls: number
  failed: number
  disallowed: number
  outcomeUnknown: number
  lostWrites: number
  groupDownMax: number
  unavailableMsMax: number
  unavailableMsMedian: number
  durationMs: number
  rollOutMs: number
  acknowledgedKeys: number
  longestWaitMs: number
  nodeStartMs: number
  fsyncMs: number
  /** With --chaos: the kills, by what was killed, and the calls that were made again with the same id. */
  chaos: { seed: number; kills: number; killed: Record<Victim, number>; repeated: number; list: Kill[] } | null
  pairs: Pair[]
  /** Peers that were called at both versions, and by nodes of both. */
  calledByBoth: number
  held: boolean
}

const VERSION = 2

export function reportOf(findings: Findings): Report {
  const { peers, load, groupDownMax, chaos } = findings
  const outcome = (name: string): number => sum(load.calls.filter((one) => one.outcome === name))
  const away = peers.flatMap(({ unavailableMs }) => (unavailableMs === null ? [] : [unavailableMs]))
  const upgraded = peers.filter(({ version, serving }) => version === VERSION && serving).length
  const failed = sum(load.calls) - outcome('ok') - load.repeated
  const pairs = pairsOf(peers.flatMap(({ answered }) => answered))
  const calledByBoth = peers.filter(({ answered }) => isCalledByBoth(answered)).length
  const held =
    upgraded === peers.length &&
    failed === 0 &&
    load.lost.length === 0 &&
    groupDownMax <= 1 &&
    // Who called whom is counted in memory, and dies with a peer that is killed.
    (chaos !== null || (calledByBoth === peers.length && pairs.every(({ at }) => at[1] + at[2] > 0)))
  return {
    peers: peers.length,
    upgraded,
    version: Math.min(...peers.map(({ version }) => version)),
    calls: sum(load.calls),
    failed,
    disallowed: outcome('Disallowed'),
    outcomeUnknown: outcome('OutcomeUnknown'),
    lostWrites: load.lost.length,
    groupDownMax,
    unavailableMsMax: round(Math.max(0, ...away)),
    unavailableMsMedian: round(median(away)),
    durationMs: Math.round(findings.durationMs),
    rollOutMs: Math.round(findings.rollOutMs),
    acknowledgedKeys: load.acknowledged,
    longestWaitMs: round(Math.max(load.waits[1].longestMs, load.waits[2].longestMs)),
    nodeStartMs: round(findings.nodeStartMs),
    fsyncMs: round(findings.fsyncMs),
    chaos: chaos === null ? null : chaosOf(chaos, load),
    pairs,
    calledByBoth,
    held
  }
}

function chaosOf({ seed, kills }: NonNullable<Findings['chaos']>, { repeated }: LoadReport): Report['chaos'] {
  const killed = { daemon: 0, all: 0, object: 0, transform: 0 }
  for (const { victim } of kills) killed[victim] += 1
  return { seed, kills: kills.length, killed, repeated, list: kills }
}

function pairsOf(answered: readonly AnsweredCount[]): Pair[] {
  return [1, 2].flatMap((caller) =>
    [1, 2].map((callee) => {
      const between = answered.filter((one) => one.caller === caller && one.running === callee)
      const at = (version: Version): number => sum(between.filter((one) => one.version === version))
      return { caller, callee, at: { 1: at(1), 2: at(2) } }
    })
  )
}

function isCalledByBoth(answered: readonly AnsweredCount[]): boolean {
  const byPeers = answered.filter(({ caller }) => caller !== null)
  return [1, 2].every(
    (one) => byPeers.some(({ version }) => version === one) && byPeers.some(({ caller }) => caller === one)
  )
}

/** What was answered since an earlier moment. */
export function since(earlier: readonly AnsweredCount[], later: readonly AnsweredCount[]): AnsweredCount[] {
  const nameOf = ({ object, version, running, caller }: AnsweredCount): string =>
    `${object} ${version} ${running} ${caller}`
  const before = new Map(earlier.map((one) => [nameOf(one), one.count]))
  return later
    .map((one) => ({ ...one, count: one.count - (before.get(nameOf(one)) ?? 0) }))
    .filter((one) => one.count > 0)
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

export function reportText(findings: Findings, report: Report, paint: Paint): string {
  const { load } = findings
  const verdict = report.held
    ? paint('green', 'everything held')
    : paint('red', 'NOT everything held: see the lines marked with ✕')
  const good = (isGood: boolean, text: string): string => ` ${isGood ? paint('green', '✓') : paint('red', '✕')} ${text}`
  const { peers, upgraded, failed, lostWrites, groupDownMax, calledByBoth } = report
  const lines = [
    '',
    ` ${paint('bold', 'Report')}: ${verdict}`,
    '',
    good(
      upgraded === peers,
      `${upgraded} of ${peers} peers run version ${VERSION}; the roll-out took ${seconds(report.rollOutMs)}`
    ),
    good(failed === 0, `${count(failed)} of ${count(report.calls)} calls of the clients failed`),
    good(
      lostWrites === 0,
      `${count(lostWrites)} of ${count(load.acknowledged)} keys with an acknowledged write read wrong, at either version`
    ),
    good(groupDownMax <= 1, `at most ${groupDownMax} member of a group was down at one moment`),
    report.chaos === null
      ? good(
          calledByBoth === peers,
          `${calledByBoth} of ${peers} peers were called at v1 and at v2, by peers at v1 and at v2`
        )
      : `   ${chaosText(report.chaos)}`,
    '',
    ...outcomeLines(load, paint),
    '',
    ...pairLines(report, paint),
    '',
    ...unavailabilityLines(findings, report, paint)
  ]
  for (const text of [...load.failures, ...load.lost.slice(0, 20)]) lines.push(paint('red', `   ${text}`))
  return lines.join('\n')
}

function chaosText({ seed, kills, killed, repeated }: NonNullable<Report['chaos']>): string {
  const { daemon, all, object, transform } = killed
  const what = `daemon ${daemon}, daemon with all its processes ${all}, object's process ${object}, TF's process ${transform}`
  return `seed ${seed}: ${kills} kills (${what}); ${count(repeated)} calls made again with the same id`
}

function outcomeLines({ calls, waits }: LoadReport, paint: Paint): string[] {
  const outcomes = [...new Set(['ok', ...calls.map((one) => one.outcome)])]
  const row = (name: string, one: string, two: string): string =>
    `   ${name.padEnd(26)}${one.padStart(12)}${two.padStart(12)}`
  const at = (version: Version, outcome: string): string =>
    count(sum(calls.filter((one) => one.version === version && one.outcome === outcome)))
  const wait = (name: string, of: (one: LoadReport['waits'][Version]) => number): string =>
    row(name, `${ms(of(waits[1]))}`, `${ms(of(waits[2]))}`)
  return [
    paint('bold', row('Calls of the clients', 'at v1', 'at v2')),
    ...outcomes.map((outcome) => row(outcome, at(1, outcome), at(2, outcome))),
    wait('wait under load: median', (one) => one.medianMs),
    wait('                 p99', (one) => one.p99Ms),
    wait('                 longest', (one) => one.longestMs)
  ]
}

function pairLines({ pairs }: Report, paint: Paint): string[] {
  const row = (name: string, one: string, two: string): string =>
    `   ${name.padEnd(26)}${one.padStart(12)}${two.padStart(12)}`
  return [
    paint('bold', row('Peer calls peer', 'at v1', 'at v2')),
    ...pairs.map(({ caller, callee, at }) => row(`node at v${caller} → node at v${callee}`, count(at[1]), count(at[2])))
  ]
}

function unavailabilityLines({ peers }: Findings, report: Report, paint: Paint): string[] {
  const each = peers.map(({ name, unavailableMs }) => `${name} ${unavailableMs === null ? '-' : ms(unavailableMs)}`)
  const lines: string[] = []
  for (let at = 0; at < each.length; at += 6)
    lines.push(
      `   ${each
        .slice(at, at + 6)
        .map((one) => one.padEnd(13))
        .join('')}`.trimEnd()
    )
  const { unavailableMsMedian, unavailableMsMax, nodeStartMs, fsyncMs } = report
  return [
    paint('bold', '   Not serving, for the upgrade'),
    ...lines,
    `   median ${ms(unavailableMsMedian)}, longest ${ms(unavailableMsMax)}; beside it: a bare node process starts in ${ms(nodeStartMs)}, an fsync takes ${ms(fsyncMs)}`
  ]
}

const sum = (counts: readonly { count: number }[]): number => counts.reduce((total, one) => total + one.count, 0)
const round = (value: number): number => Math.round(value * 10) / 10
const seconds = (value: number): string => `${(value / 1000).toFixed(1)} s`
const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
