/** What the operator of a scenario does after its upgrades were made (SPEC M24). */
import type { Condition } from '../../src/schedule/schedule.ts'
import { peerName } from '../names.ts'
import type { Action, PausedOf } from '../scenario.ts'
import { Unfit } from './document.ts'
import type { Document } from './schema.ts'

type Written = Document['operator'][number]
type Made = Extract<Action, { what: 'upgrade' }>

/**
 * @param upgrades how many the scenario makes: indexes of their actions are one less than their versions
 * @param rosters how many actions follow those, before the operator's
 * @throws Unfit for what is not there to act on
 */
export function operatorActions(document: Document, upgrades: number, rosters: number): Action[] {
  const { operator } = document
  const lifted = (index: number) => operator.slice(0, index).findLastIndex(({ do: what }) => PAUSES.has(what))
  operator.forEach((one, index) => {
    const unfit = (field: string, text: string) => new Unfit(['operator', index, field], text)
    if (LIFTS.has(one.do) && lifted(index) < 0)
      throw unfit('do', 'there is no pause or hold before it that it could lift')
    check(one, document, upgrades, unfit)
  })
  return operator.map((one, index) => actionOf(one, document, upgrades + rosters + lifted(index)))
}

const PAUSES: ReadonlySet<Written['do']> = new Set(['pause', 'hold'])
const LIFTS: ReadonlySet<Written['do']> = new Set(['resume', 'release'])

function check(
  one: Written,
  { peers, groups }: Document,
  upgrades: number,
  unfit: (field: string, text: string) => Unfit
): void {
  if ('version' in one && one.version !== null && one.version > upgrades)
    throw unfit('version', `there are versions 1 to ${upgrades} in this scenario`)
  if ('node' in one && one.node !== undefined && one.node >= peers) throw unfit('node', `peers are 0 to ${peers - 1}`)
  const isOfGroup = one.do === 'roster' || one.do === 'exclude'
  const group = one.do === 'roster' ? one.group : 0
  if (isOfGroup && (groups.size === 0 || group >= Math.ceil(peers / groups.size)))
    throw unfit(one.do === 'roster' ? 'group' : 'do', 'there is no such group; see "groups" and "peers"')
  if (one.do === 'hold' && one.node === undefined && one.class === undefined && Object.keys(one.where).length === 0)
    throw unfit('do', 'a hold names a "node", labels ("where") or a "class"; "pause" holds everybody')
}

/** @param pause index of the action that made the pause before it */
function actionOf(one: Written, { groups }: Document, pause: number): Action {
  const { at: atMs } = one
  switch (one.do) {
    case 'pause':
      return { atMs, what: 'pause', version: one.version, lastsMs: one.for }
    case 'hold':
      return { atMs, what: 'pause', version: one.version, lastsMs: one.for, of: heldBy(one) }
    case 'resume':
    case 'release':
      return { atMs, what: 'resume', pause }
    case 'abort':
    case 'approve':
    case 'hasten':
    case 'forget':
      return { atMs, what: one.do, upgrade: one.version - 1 }
    case 'retry': {
      const { version, node, discardFuture } = one
      return { atMs, what: 'retry', upgrade: version - 1, peer: node ?? null, discardFuture }
    }
    case 'exclude': {
      const { node, roster } = one
      return { atMs, what: 'exclude', node, group: Math.floor(node / groups.size), roster }
    }
    case 'retire':
      return { atMs, what: 'retire', version: one.version }
    case 'rotate':
      return { atMs, what: 'rotate' }
    case 'leave':
      return { atMs, what: 'leave', node: one.node }
    case 'roster': {
      const { group, number, members } = one
      return { atMs, what: 'roster', group, number, ...(members === undefined ? {} : { members }) }
    }
  }
}

function heldBy({ node, where, class: of }: Extract<Written, { do: 'hold' }>): PausedOf {
  const labels = Object.entries(where).map(([label, values]) => [label, values[0]!] as const)
  return {
    ...(node === undefined ? {} : { peer: peerName(node) }),
    ...(labels.length === 0 ? {} : { labels: Object.fromEntries(labels) }),
    ...(of === undefined ? {} : { class: of })
  }
}

/** A run in which nobody says the word that an upgrade waits for would be stuck until its end. @throws Unfit */
export function checkApprovals({ operator }: Document, made: readonly Made[]): void {
  made.forEach(({ schedule, schedules }, index) => {
    const version = index + 1
    const awaits = [schedule, ...Object.values(schedules ?? {})].some(({ when }) => needsApproval(when))
    const isSaid = operator.some((one) => (one.do === 'approve' || one.do === 'hasten') && one.version === version)
    if (!awaits || isSaid) return
    const mend = `say when somebody does: operator: [{ at: 10m, do: approve, version: ${version} }]`
    throw new Unfit(['operator'], `the schedule of version ${version} waits for an approval (manual); ${mend}`)
  })
}

function needsApproval(when: Condition): boolean {
  if (when.kind === 'manual') return true
  if (when.kind === 'all' || when.kind === 'sequence') return when.of.some(needsApproval)
  return when.kind === 'any' && when.of.length > 0 && when.of.every(needsApproval)
}
