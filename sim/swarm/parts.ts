/**
 * Smaller scenarios of a scenario (SPEC M47): without some actions, some faults, a group. What refers to something that
 * is gone goes with it, so that a smaller scenario still asks for nothing that cannot be.
 */
import type { Condition } from '../../src/schedule/schedule.ts'
import type { Action, Fault, Scenario } from '../scenario.ts'

type Upgrade = Extract<Action, { what: 'upgrade' }>

/**
 * The scenario with these actions only; those that need one which is not there are left out, too. Each group keeps its
 * first roster: without one it would wait for ever. `gone`: a group that needs none.
 */
export function withActions(from: Scenario, kept: readonly Action[], gone = -1): Scenario {
  const isNeeded = (one: Action) => one.what === 'roster' && one.number === 1 && one.group !== gone
  let actions = from.actions.filter((one) => isNeeded(one) || kept.includes(one))
  for (let before = -1; before !== actions.length; ) {
    before = actions.length
    actions = actions.filter((action) => stands(action, actions, from.actions))
  }
  const place = (index: number) => actions.indexOf(from.actions[index]!)
  const moved = actions.map((action) => pointed(membersOf(action, actions), place))
  // Nobody waits for whoever is excluded; where that is not said, the machine stays.
  const isSaid = (node: number, all: readonly Action[]) =>
    all.some((one) => one.what === 'exclude' && one.node === node)
  const faults = from.faults.filter(
    (one) => one.what !== 'depart' || isSaid(one.node, actions) || !isSaid(one.node, from.actions)
  )
  return { ...from, faults, actions: renumbered(moved) }
}

/** A roster without a member that does not go, after all, has all members. */
function membersOf(action: Action, kept: readonly Action[]): Action {
  if (action.what !== 'roster' || action.members === undefined) return action
  const { members, ...whole } = action
  const goes = kept.some((one) => (one.what === 'leave' || one.what === 'exclude') && !members.includes(one.node))
  return goes ? action : whole
}

/** Whether all that an action needs to come to an end is among those kept. */
function stands(action: Action, kept: readonly Action[], all: readonly Action[]): boolean {
  const at = all.indexOf(action)
  const has = (index: number) => kept.includes(all[index]!)
  const isReplaced = () => kept.some((one) => one.what === 'upgrade' && one.replaces === at)
  const upgrades = kept.filter((one) => one.what === 'upgrade')
  switch (action.what) {
    case 'upgrade':
      if (action === all[0]) return true
      if (action.broken !== undefined || action.rival === true) return isReplaced()
      return !isManual(action.schedule.when) || kept.some((one) => one.what === 'approve' && one.upgrade === at)
    case 'abort':
      return has(action.upgrade) && kept.some((one) => one.what === 'upgrade' && one.replaces === action.upgrade)
    case 'approve':
    case 'hasten':
    case 'retry':
    case 'forget':
      return has(action.upgrade)
    case 'resume':
      return has(action.pause)
    case 'pause':
    case 'retire':
      return (action.version ?? 1) <= upgrades.length
    case 'leave':
    case 'exclude':
      return kept.some((one) => one.what === 'roster' && isWithout(one, action.node))
    case 'roster':
    case 'rotate':
    case 'revoke':
      return true
  }
}

const isWithout = ({ members }: { members?: number[] }, node: number): boolean => members?.includes(node) === false

const isManual = (when: Condition): boolean => JSON.stringify(when).includes('"manual"')

/** An action with its references to others where those are now. */
function pointed(action: Action, place: (index: number) => number): Action {
  if ('upgrade' in action) return { ...action, upgrade: place(action.upgrade) }
  if ('pause' in action) return { ...action, pause: place(action.pause) }
  if (action.what !== 'upgrade' || action.replaces === undefined) return action
  const { replaces, ...rest }: Upgrade = action
  return place(replaces) < 0 ? rest : { ...rest, replaces: place(replaces) }
}

/** Rosters of a group are numbered without gaps (T9). */
function renumbered(actions: readonly Action[]): Action[] {
  return actions.map((action) => {
    if (action.what !== 'roster') return action
    const numbers = actions.flatMap((one) => (one.what === 'roster' && one.group === action.group ? [one.number] : []))
    return { ...action, number: new Set(numbers.filter((one) => one <= action.number)).size }
  })
}

/** The end of the safety phase stays whatever else goes; whoever is excluded must be gone, and who was put out is admitted anew. */
export const mayGo = ({ what }: Fault): boolean => what !== 'stop' && what !== 'depart' && what !== 'ticket'

/** The scenario without a group and all that concerns it; undefined if it is the last one. */
export function withoutGroup(from: Scenario, group: number): Scenario | undefined {
  const { groupSize, peers } = from
  const size = groupSize > 0 ? groupSize : 1
  const first = group * size
  const left = peers - size
  if (left < 1) return undefined
  const isGone = (node: number) => node >= first && node < first + size
  const place = (node: number) => (node < first ? node : node - size)
  const faults = from.faults.flatMap((fault): Fault[] => {
    if (fault.what === 'partition') return [{ ...fault, cells: fault.cells.filter((_, node) => !isGone(node)) }]
    if (!('node' in fault)) return [fault]
    if (isGone(fault.node)) return []
    const node = place(fault.node)
    return [{ ...fault, node, ...('from' in fault ? { from: isGone(fault.from) ? node : place(fault.from) } : {}) }]
  })
  const kept = from.actions.filter(
    (action) =>
      !('node' in action && isGone(action.node)) &&
      !('peer' in action && action.peer !== null && isGone(action.peer)) &&
      !('group' in action && groupSize > 0 && action.group === group)
  )
  const { actions } = withActions(from, kept, group)
  const moved = actions.map((action): Action => {
    const own = 'node' in action ? { node: place(action.node) } : {}
    const told = 'peer' in action && action.peer !== null ? { peer: place(action.peer) } : {}
    const beyond = 'group' in action && action.group > group ? { group: action.group - 1 } : {}
    const members = 'members' in action && action.members !== undefined ? { members: action.members.map(place) } : {}
    return { ...action, ...own, ...told, ...beyond, ...members } as Action
  })
  return { ...from, peers: left, faults, actions: moved }
}
