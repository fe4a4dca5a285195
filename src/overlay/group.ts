/** Other members of a peer's own group (SPEC O2): those of the newest roster, and whoever's record says so. */
import { MAX_GROUP_MEMBERS } from '../names.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import { hasLeft } from './record.ts'
import type { View } from './view.ts'

const NOBODY: ReadonlySet<string> = new Set()

export interface GroupInit {
  readonly self: string
  readonly group: string | null
  readonly statements: StatementSet
  readonly view: View
}

export class OwnGroup {
  readonly #parts: GroupInit
  #members: ReadonlySet<string> = NOBODY
  /** Changes of its records and of statements when the members were last looked up. */
  #seen = -1

  constructor(parts: GroupInit) {
    this.#parts = parts
  }

  /** Asked for many times a step, looked up once a change. */
  get members(): ReadonlySet<string> {
    const { group, statements, view } = this.#parts
    const seen = view.fellowChanges + statements.size
    if (group === null || this.#seen === seen) return this.#members
    this.#seen = seen
    const members = new Set(statements.roster(group, statements.newestRoster(group))?.members ?? [])
    for (const { record } of view.all())
      if (record.group === group && !hasLeft(record) && members.size < MAX_GROUP_MEMBERS) members.add(record.peer)
    members.delete(this.#parts.self)
    this.#members = members
    return members
  }
}

/** The newest roster of a peer's group, as hosted code sees it; empty without one. */
export function listedMembers(
  { peer: own, group }: { peer: string; group: string | null },
  statements: StatementSet,
  connected: { has(peer: string): boolean }
): { peer: string; self: boolean; reachable: boolean }[] {
  const roster = group === null ? undefined : statements.roster(group, statements.newestRoster(group))
  return (roster?.members ?? []).map((peer) => {
    const self = peer === own
    return { peer, self, reachable: self || connected.has(peer) }
  })
}
