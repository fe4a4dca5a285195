/**
 * What this peer signals to others (SPEC O5, S43): of the newest upgrades whose schedules count who holds them ready,
 * those that it holds ready itself. Only neighbours know a peer of a large fleet well, so they hear of it at once.
 */

import { conditionsOf, wholeOf } from '../schedule/schedule.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { PeerRecord } from './record.ts'
import { holdsReady } from './shown.ts'

/** Upgrades that are signalled, at most: the log's newest. */
const MAX_SIGNALLED = 4

export class Signals {
  readonly #log: UpgradeLog
  #knownLog = -1
  #counted: readonly { object: string; entry: Entry }[] = []
  #given = ''

  constructor(log: UpgradeLog) {
    this.#log = log
  }

  /** Whether a peer that shows this now signals something else than when this was last asked. */
  moved(now: Pick<PeerRecord, 'head' | 'objects'>): boolean {
    if (this.#knownLog !== this.#log.size) {
      this.#knownLog = this.#log.size
      this.#counted = this.#listed()
    }
    const held = this.#counted.filter(
      ({ object, entry }) => now.objects[object] !== undefined && holdsReady(now, object, entry)
    )
    const given = held.map(({ object, entry }) => `${object}/${entry.hash}`).join()
    const moved = given !== this.#given
    this.#given = given
    return moved
  }

  #listed(): { object: string; entry: Entry }[] {
    const listed: { object: string; entry: Entry }[] = []
    for (const [object, versions] of this.#log.schema.lineages)
      for (const { entry, upgrade } of versions) {
        const { schedule, simulate } = upgrade
        const all = { kind: 'all' as const, of: [wholeOf(schedule), ...(simulate === undefined ? [] : [simulate])] }
        if ([...conditionsOf(all)].some(({ kind }) => kind === 'signalled')) listed.push({ object, entry })
      }
    return listed.sort((a, b) => b.entry.version - a.entry.version).slice(0, MAX_SIGNALLED)
  }
}
