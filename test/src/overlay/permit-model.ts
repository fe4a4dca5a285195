/**
 * A group of members that decide permits from records which arrive late, out of step, or never: the model that the
 * safety of permits (SPEC P) is explored in. A state is plain and comparable; an action is an index.
 */
import {
  decidePermits,
  endAttempt,
  noPermits,
  type PermitSight,
  type PermitState,
  permitRecord
} from '../../../src/overlay/permits.ts'
import type { PermitRecord } from '../../../src/overlay/record.ts'

export interface Member {
  state: PermitState
  /** Newest roster this member has heard of. */
  heard: number
  wants: boolean
  /** Stopped for the upgrade; only ever while it holds. */
  begun: boolean
  done: boolean
  /** What it last saw of each other member. */
  seen: (PermitRecord | undefined)[]
}

export interface Group {
  members: Member[]
}

export interface Setting {
  rosters: number[][]
  unavailable: number
}

export const name = (index: number): string => `peer${String(index).padStart(4, '0')}`

export function begin(setting: Setting, heard = 1): Group {
  const count = Math.max(...setting.rosters.flat()) + 1
  return {
    members: Array.from({ length: count }, () => ({
      state: noPermits,
      heard,
      wants: false,
      begun: false,
      done: false,
      seen: Array.from({ length: count }, () => undefined)
    }))
  }
}

function sightOf(setting: Setting, group: Group, self: number): PermitSight {
  const member = group.members[self]!
  return {
    self: name(self),
    group: 'g',
    newestRoster: () => member.heard,
    roster: (number) => {
      const indexes = number <= member.heard ? setting.rosters[number - 1] : undefined
      return indexes && { group: 'g', number, members: indexes.map(name), disputed: false }
    },
    record: (peer) => member.seen[Number(peer.slice(4))],
    // Reachability is only advice: the harshest network says that everybody is fine.
    down: () => undefined,
    excluded: () => false,
    hash53: (text) => (Number(text.slice(-4)) * 7) % 5
  }
}

export function decide(setting: Setting, group: Group, self: number): Group {
  const member = group.members[self]!
  const wish = { unavailable: member.wants || member.begun ? setting.unavailable : null, begun: member.begun }
  const state = decidePermits(member.state, sightOf(setting, group, self), wish)
  return state === member.state ? group : replace(group, self, { state })
}

const replace = (group: Group, index: number, change: Partial<Member>): Group => ({
  members: group.members.map((member, i) => (i === index ? { ...member, ...change } : member))
})

/** Every action possible from a state: ⟨its name, the state after it⟩. Those that change nothing are left out. */
export function* actions(setting: Setting, group: Group): Generator<[string, Group]> {
  for (const [i, member] of group.members.entries()) {
    if (!member.wants && !member.done) yield [`${i} wants`, decide(setting, replace(group, i, { wants: true }), i)]
    if (member.state.holding && !member.begun) {
      yield [`${i} begins`, replace(group, i, { begun: true })]
      yield [`${i} changes its mind`, decide(setting, replace(group, i, { wants: false, done: true }), i)]
    }
    if (member.begun) {
      const ended = replace(group, i, {
        begun: false,
        wants: false,
        done: true,
        state: endAttempt(member.state, name(i))
      })
      yield [`${i} ends`, decide(setting, ended, i)]
    }
    if (member.heard < setting.rosters.length)
      yield [
        `${i} hears of roster ${member.heard + 1}`,
        decide(setting, replace(group, i, { heard: member.heard + 1 }), i)
      ]
    for (const [j, other] of group.members.entries()) {
      if (i === j) continue
      const record = permitRecord(other.state, 'g')
      if (JSON.stringify(record) === JSON.stringify(member.seen[j])) continue
      const seen = member.seen.map((one, index) => (index === j ? record : one))
      yield [`${i} hears of ${j}`, decide(setting, replace(group, i, { seen }), i)]
    }
  }
}

export const holders = (group: Group): number =>
  group.members.filter((member) => member.state.holding || member.begun).length
