/** What speaks against retiring a version, in words (SPEC R6, R7). */
import { sayDuration } from '../../src/schedule/duration.ts'
import type { LoggedUpgrade, Status } from '../daemon/status.ts'
import { shortPeer } from './screen.ts'

/** A version that was called within this time is advised to be kept. */
const UNUSED_MS = 24 * 3_600_000

/** Why somebody needs what a retirement of `target` takes away, with the mend; undefined if nobody is known to. */
export function needOf(target: string, { log }: Status): string | undefined {
  const entry = log.find((one) => one.hash === target)
  return entry === undefined ? undefined : needs(entry, (peer) => peer)[0]
}

function needs({ evidence }: LoggedUpgrade, named: (peer: string) => string): string[] {
  const { callers, behind } = evidence ?? { callers: [], behind: [] }
  const found = callers.map((one) => {
    const where = one.peer === null ? 'which is in force' : `which runs at ${named(one.peer)}`
    return `class ${one.class} of version ${one.version}, ${where}, calls ${one.calls} at version ${one.at}; upgrade that first`
  })
  const [last] = behind
  const more = behind.length > 1 ? ` and ${behind.length - 1} more` : ''
  if (last !== undefined)
    found.push(
      `${named(last.peer)}${more} still ${more === '' ? 'runs' : 'run'} ${last.object} ${last.version}; wait for it`
    )
  return found
}

/** One line: whether the newest past version may be retired, or who still needs it. Undefined where there is none. */
export function retirementText({ log, at, upMs }: Status): string | undefined {
  const candidate = log.findLast((one) => one.evidence !== null && !one.aborted)
  if (candidate === undefined || candidate.retired) return undefined
  const { version } = candidate
  const found = needs(candidate, shortPeer).map((one) => one.slice(0, one.lastIndexOf(';')))
  if (found.length > 0) return `version ${version} is still needed: ${found.join('; ')}`
  const nobody = 'no class in force calls it, nobody known is behind it'
  const called = candidate.evidence?.lastCall ?? null
  if (called === null)
    return `version ${version} may be retired: ${nobody}; no call at it in the ${sayDuration(upMs)} heard of`
  const agoMs = Date.parse(at) - Date.parse(called)
  if (agoMs >= UNUSED_MS) return `version ${version} may be retired: ${nobody}; last called ${sayDuration(agoMs)} ago`
  return `version ${version} is still called by programs outside of the fleet, last in the hour of ${called}; ${nobody}`
}
