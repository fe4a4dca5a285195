/** What the files hold that a scenario names: upgrades as packed, and what rehearsals told. Plain, so that it travels to workers. */
import type { Condition, Schedule } from '../../src/schedule/schedule.ts'
import type { Manifest } from '../../src/upgrade/manifest.ts'

export interface RealUpgrade {
  version: number
  classes: {
    from: string | null
    to: string
    schedule: Schedule
    simulate: Condition | undefined
    future: boolean
    past: boolean
  }[]
  pieces: number
  pieceBytes: number
}

/** The longest of its objects; ms. */
export interface RealRehearsal {
  transformMs: number
  proveMs: number
}

/** By the name that the scenario gives. */
export interface Enclosed {
  upgrades: Record<string, RealUpgrade>
  rehearsals: Record<string, RealRehearsal>
}

export function realUpgrade({ version, classes, bundle }: Manifest): RealUpgrade {
  return {
    version,
    classes: classes.map(({ from, to, schedule, simulate, future, past }) => ({
      from,
      to,
      schedule,
      simulate,
      future: future !== null,
      past: past !== null
    })),
    pieces: bundle.pieces.length,
    pieceBytes: bundle.pieceLength
  }
}
