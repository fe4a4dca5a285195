/**
 * Schedules as authors write them (SPEC S; DESIGN: data first). Each function gives plain data, so that what is signed,
 * evaluated by peers and rehearsed by the simulator is the same. None is called `then`: that would make thenables.
 */
import { Refusal } from '../errors.ts'
import { MAX_JUDGED } from './panel.ts'
import {
  type Condition,
  type Constraint,
  conditionSchema,
  MAX_DELAY_MS,
  MILLION,
  type Schedule,
  type Signalling
} from './schedule.ts'
import { windowError } from './window.ts'

/** A number of milliseconds, or a text of one number and one unit: '500ms', '90s', '10m', '1h', '2d'. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a duration; refuses what is not one, is fractional in milliseconds, or is longer than a year. */
export function durationMs(duration: Duration): number {
  const found = typeof duration === 'string' ? /^(\d{1,12})(ms|s|m|h|d)$/.exec(duration) : null
  const ms = found === null ? duration : Number(found[1]) * UNITS[found[2]!]!
  if (typeof ms !== 'number' || !Number.isInteger(ms) || ms < 0 || ms > MAX_DELAY_MS) {
    throw new Refusal(
      'Malformed',
      `"${duration}" is no duration: write a number and ms, s, m, h or d, at most 366d (like "90s")`
    )
  }
  return ms
}

/** As soon as the node knows the upgrade and holds its bundle. */
export function immediately(): Condition {
  return { kind: 'immediately' }
}

/** When an operator approved the upgrade (`upstart approve`). */
export function manual(): Condition {
  return { kind: 'manual' }
}

/** A share of peers as millionths. */
function millionths(share: number, what: string): number {
  const perMillion = Math.round(share * MILLION)
  if (!(perMillion >= 1 && perMillion <= MILLION))
    throw new Refusal('Malformed', `${what} is a share above 0 and at most 1 (like 0.05), not ${share}`)
  return perMillion
}

/** What is misspelt would be left out in silence, since nothing checks types where an upgrade is packed. */
function named<T extends object>(options: T, what: string, ...names: string[]): T {
  if (typeof options !== 'object' || options === null)
    throw new Refusal('Malformed', `${what} takes an object with ${names.join(', ')}`)
  const strange = Object.keys(options).find((name) => !names.includes(name))
  if (strange === undefined) return options
  throw new Refusal('Malformed', `${what}: there is no "${strange}"; there are ${names.join(', ')}`)
}

/** What is written is what is read: the rules of the data hold where it is made. */
function checked(condition: Condition, what: string): Condition {
  const parsed = conditionSchema.safeParse(condition)
  if (parsed.success) return condition
  const [issue] = parsed.error.issues
  throw new Refusal(
    'Malformed',
    `${what}: ${issue!.path.join('.')}${issue!.path.length > 0 ? ': ' : ''}${issue!.message}`
  )
}

/**
 * When `delay` has passed since the node learned of the upgrade (in a sequence: since the step before was met). Or, for
 * servers before clients: when the peers that host a class, or so large a share of them, run its version, or a later one.
 */
export function after(what: { delay: Duration } | { class: string; version: number; fraction?: number }): Condition {
  named(what, 'after', ...('delay' in what ? ['delay'] : ['class', 'version', 'fraction']))
  if ('delay' in what) return { kind: 'after', delayMs: durationMs(what.delay) }
  const success = millionths(what.fraction ?? 1, 'after: fraction')
  return checked({ kind: 'afterClass', class: what.class, version: what.version, success }, 'after')
}

/**
 * A few peers first: a fraction of the fleet (0.05), a number of peers (at most 64), or those whose label has one of some
 * values; all others when these have run the version in good health for `soak`. More than 1 − `success` of them that
 * fail stop the roll-out there.
 */
export function canary(
  few: ({ fraction: number } | { count: number } | { where: Record<string, string | string[]> }) & {
    soak: Duration
    success?: number
  }
): Condition {
  named(few, 'canary', 'fraction', 'count', 'where', 'soak', 'success')
  const soakMs = durationMs(few.soak)
  if ('where' in few) return labelledFirst(few.where, few.soak, few.success)
  const success = few.success === undefined ? {} : { success: millionths(few.success, 'canary: success') }
  if ('count' in few) {
    if (!Number.isInteger(few.count) || few.count < 1 || few.count > MAX_JUDGED)
      throw new Refusal('Malformed', `canary: count is a whole number from 1 to ${MAX_JUDGED}, not ${few.count}`)
    return { kind: 'canary', share: { count: few.count }, soakMs, ...success }
  }
  if (typeof few.fraction !== 'number')
    throw new Refusal(
      'Malformed',
      'canary: name whom: { fraction: 0.05 }, { count: 3 } or { where: { ring: "early" } }'
    )
  const perMillion = Math.round(few.fraction * MILLION)
  if (!(perMillion >= 1 && perMillion < MILLION))
    throw new Refusal('Malformed', `canary: a fraction lies between 0 and 1 (like 0.05), not ${few.fraction}`)
  return { kind: 'canary', share: { perMillion }, soakMs, ...success }
}

/** Canaries that a label names are the first of two domains. */
function labelledFirst(labels: Record<string, string | string[]>, every: Duration, success?: number): Condition {
  const [first, ...more] = Object.entries(labels)
  if (first === undefined || more.length > 0)
    throw new Refusal('Malformed', 'canary: where names one label, like { ring: "early" }')
  const [by, values] = first
  return domains({ by, order: [[values].flat()], every, ...(success === undefined ? {} : { success }) })
}

/**
 * The fleet in growing shares, each wave when the one before it has run the version in good health for `every`:
 * waves([0.01, 0.1, 0.5, 1], { every: '1h' }). More than 1 − `success` of a wave that fail stop the roll-out there.
 */
export function waves(shares: readonly number[], soak: { every: Duration; success?: number }): Condition {
  const { every, success = 1 } = named(soak, 'waves', 'every', 'success')
  const ends = shares.map((share) => millionths(share, 'waves: each one'))
  return checked(
    { kind: 'waves', ends, everyMs: durationMs(every), success: millionths(success, 'waves: success') },
    'waves'
  )
}

/**
 * One upgrade domain after another, as a label names them; a domain may have several values. Peers without any of them go
 * last: domains({ by: 'zone', order: ['a', 'b'] }), or, as a big flip, order: [['a', 'b'], ['c', 'd']].
 */
export function domains(domain: {
  by: string
  order: readonly (string | readonly string[])[]
  every?: Duration
  success?: number
}): Condition {
  const { by, order, every = 0, success = 1 } = named(domain, 'domains', 'by', 'order', 'every', 'success')
  const values = order.map((one) => (typeof one === 'string' ? [one] : [...one]))
  const everyMs = durationMs(every)
  return checked(
    { kind: 'domains', by, order: values, everyMs, success: millionths(success, 'domains: success') },
    'domains'
  )
}

/** When so large a share of others, the peer itself counted, hold the upgrade ready. Met once, it stays met. */
export function signalled(ready: { fraction: number; of?: Signalling }): Condition {
  const { fraction, of = 'sample' } = named(ready, 'signalled', 'fraction', 'of')
  return checked({ kind: 'signalled', of, share: millionths(fraction, 'signalled: fraction') }, 'signalled')
}

/** Each node after a time of its own, drawn at random. */
export function random(time: { within: Duration }): Condition {
  const { within } = named(time, 'random', 'within')
  return checked({ kind: 'random', withinMs: durationMs(within) }, 'random: within')
}

/** Another condition for each class, where several share a schedule; `otherwise` for those that are not named. */
export function byClass(classes: Record<string, Condition>, otherwise: Condition = never()): Condition {
  return checked({ kind: 'byClass', classes, otherwise }, 'byClass')
}

/**
 * What no other condition says: code beside upgrade.ts, whose default export is a ScheduleFunction. It goes into the bundle
 * and is run by each node in a process of its own, within ten seconds; whatever it does, it only says go or wait.
 */
export function custom(module: `./${string}`): Condition {
  return checked({ kind: 'custom', module }, 'custom')
}

/** Never: for the nodes that another branch of `any` is not for. */
export function never(): Condition {
  return { kind: 'never' }
}

/** From a time on, at all nodes at once: '2026-12-01T02:00:00Z'. */
export function at(time: string): Condition {
  const timeMs = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z$/.test(time) ? Date.parse(time) : Number.NaN
  if (Number.isNaN(timeMs))
    throw new Refusal('Malformed', `at: "${time}" is no time; write it like 2026-12-01T02:00:00Z`)
  return { kind: 'at', timeMs }
}

/**
 * Each node at its own moment within a time, by its hash: evenly, or ever faster (the last nodes go 64 times as fast as
 * the first, so that trouble shows while few have gone).
 */
export function gradual(time: { over: Duration; shape?: 'even' | 'growing' }): Condition {
  const { over, shape = 'even' } = named(time, 'gradual', 'over', 'shape')
  const overMs = durationMs(over)
  if (overMs === 0)
    throw new Refusal('Malformed', 'gradual: "over" is longer than nothing; for at once say immediately()')
  return { kind: 'gradual', overMs, shape }
}

/** While a window is open that begins when `cron` says, in `timezone` ('Europe/Berlin'), and stays open for `duration`. */
export function window(times: { cron: string; duration: Duration; timezone?: string }): Condition {
  const { cron, timezone = 'UTC' } = named(times, 'window', 'cron', 'duration', 'timezone')
  const wrong = windowError({ cron, timezone })
  if (wrong !== undefined) throw new Refusal('Malformed', `window: ${wrong}`)
  return { kind: 'window', cron, timezone, durationMs: durationMs(times.duration) }
}

/**
 * When this node has answered fewer than `loadBelow` calls a second, over ten seconds each, for so long: quiet({
 * loadBelow: 5, for: '10m' }).
 */
export function quiet(load: { loadBelow: number; for: Duration }): Condition {
  const { loadBelow, for: duration } = named(load, 'quiet', 'loadBelow', 'for')
  if (!Number.isInteger(loadBelow) || loadBelow < 1 || loadBelow > 1_000_000)
    throw new Refusal('Malformed', `quiet: loadBelow is a whole number of calls a second, from 1, not ${loadBelow}`)
  return { kind: 'quiet', loadBelow, forMs: durationMs(duration) }
}

/** While no program on this host holds a lock (`upstart lock`), or they have held it up for `timeout` in all. */
export function lock(held: { timeout: Duration }): Condition {
  const { timeout } = named(held, 'lock', 'timeout')
  const timeoutMs = durationMs(timeout)
  if (timeoutMs < 1000)
    throw new Refusal('Malformed', 'lock: "timeout" is at least a second; without lock() no lock holds')
  return { kind: 'lock', timeoutMs }
}

/** On peers whose labels have these values, or one of several: where({ region: ['eu', 'us'] }). */
export function where(labels: Record<string, string | string[]>): Condition {
  const listed = Object.entries(labels).map(([label, values]) => [label, [values].flat()])
  return { kind: 'where', labels: Object.fromEntries(listed) }
}

/** While a condition does not hold. */
export function not(of: Condition): Condition {
  return { kind: 'not', of }
}

/** When one holds. */
export function any(...of: Condition[]): Condition {
  return { kind: 'any', of }
}

/** A condition, but no longer than `after` since the node learned of the upgrade. Constraints stay. */
export function deadline(of: Condition, latest: { after: Duration }): Condition {
  const { after: delay } = named(latest, 'deadline', 'after')
  return any(of, after({ delay }))
}

/** Another condition for each value of a label: byLabel('region', { eu: window(…), us: window(…) }, manual()). */
export function byLabel(label: string, values: Record<string, Condition>, otherwise: Condition = never()): Condition {
  const named = Object.entries(values).map(([value, condition]) => all(where({ [label]: value }), condition))
  return any(...named, all(not(where({ [label]: Object.keys(values) })), otherwise))
}

/** When all hold at once. */
export function all(...of: Condition[]): Condition {
  return { kind: 'all', of }
}

/** One after another: each is looked at only once the one before was met. */
export function sequence(...of: Condition[]): Condition {
  return { kind: 'sequence', of }
}

/**
 * Never more than `unavailable` members of a group down for the upgrade; needs a roster of the group. `minimumAlive`: a
 * member begins only while at least so many others are known to serve, whatever else is down.
 */
export function rolling(group: { by: 'group'; unavailable: number; minimumAlive?: number }): Constraint {
  const { by, unavailable, minimumAlive } = named(group, 'rolling', 'by', 'unavailable', 'minimumAlive')
  return { kind: 'rolling', by, unavailable, ...(minimumAlive === undefined ? {} : { minimumAlive }) }
}

/** Never while a condition holds, or while it cannot be told: notWhile(window(…)). */
export function notWhile(condition: Condition): Constraint {
  return { kind: 'notWhile', condition }
}

/** When the share of failed calls counts as worse: more than `factor` times, and by more than `difference`, than before. */
export interface WorseThanBaseline {
  /** @default 2 */
  factor?: number
  /** @default 0.01 */
  difference?: number
  /** Fewer calls than these, before the upgrade or since, say nothing. @default 100 */
  calls?: number
}

/**
 * Halts the upgrade on nodes that have not begun it, as long as it goes badly elsewhere: of the peers known that tried
 * the version a larger share than `failedAbove` went back from it; of those that run it a larger share than
 * `unhealthyAbove` do not serve, or die again and again; or more of their calls fail than did on the same nodes before.
 * Shares lie in [0, 1]; a single peer halts only where it is 0.
 */
export function guard(limits: {
  failedAbove?: number
  unhealthyAbove?: number
  worseThanBaseline?: true | WorseThanBaseline
}): Constraint {
  named(limits, 'guard', 'failedAbove', 'unhealthyAbove', 'worseThanBaseline')
  const { failedAbove, unhealthyAbove, worseThanBaseline } = limits
  if (failedAbove === undefined && unhealthyAbove === undefined && worseThanBaseline === undefined)
    throw new Refusal('Malformed', 'guard: name at least one of failedAbove, unhealthyAbove and worseThanBaseline')
  return {
    kind: 'guard',
    ...(failedAbove === undefined ? {} : { failedPerMillion: perMillionOf('failedAbove', failedAbove) }),
    ...(unhealthyAbove === undefined ? {} : { unhealthyPerMillion: perMillionOf('unhealthyAbove', unhealthyAbove) }),
    ...(worseThanBaseline === undefined ? {} : { worse: worseOf(worseThanBaseline === true ? {} : worseThanBaseline) })
  }
}

function worseOf(worse: WorseThanBaseline) {
  named(worse, 'guard: worseThanBaseline', 'factor', 'difference', 'calls')
  const { factor = 2, difference = 0.01, calls = 100 } = worse
  if (!(factor >= 1 && factor <= 10_000))
    throw new Refusal('Malformed', `guard: worseThanBaseline.factor is from 1 to 10000 (like 2), not ${factor}`)
  if (!(Number.isInteger(calls) && calls >= 32 && calls <= 1_000_000))
    throw new Refusal('Malformed', `guard: worseThanBaseline.calls is a whole number from 32 to 1000000, not ${calls}`)
  const differencePerMillion = perMillionOf('worseThanBaseline.difference', difference)
  return { factorPercent: Math.round(factor * 100), differencePerMillion, calls }
}

function perMillionOf(name: string, share: number): number {
  if (!(share >= 0 && share <= 1))
    throw new Refusal('Malformed', `guard: ${name} is a share from 0 to 1 (like 0.05), not ${share}`)
  return Math.round(share * 1_000_000)
}

/** What holds when an author names no schedule: at once, one member of a group at a time. */
export function defaultSchedule(): Schedule {
  return { when: immediately(), constraints: [rolling({ by: 'group', unavailable: 1 })] }
}
