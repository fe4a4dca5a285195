/** Quantities as people write them in a scenario (SPEC M28): durations, sizes, rates and shares, each with its unit. */
import { z } from 'zod'

const DURATIONS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3
}
/** Bytes a ms. */
const RATES: Readonly<Record<string, number>> = {
  'kbit/s': 0.125,
  'Mbit/s': 125,
  'Gbit/s': 125_000,
  'kB/s': 1,
  'MB/s': 1000,
  'GB/s': 1e6
}
const PERCENT: Readonly<Record<string, number>> = { '%': 0.01 }

/** A number with one of these units; without one where `plain` says what a bare number is. */
function quantity(units: Readonly<Record<string, number>>, what: string, plain?: number) {
  return z.unknown().transform((value, context): number => {
    const found = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z/%]*)\s*$/.exec(value) : null
    const unit = found === null ? plain : found[2] === '' ? plain : units[found[2]!]
    const number =
      (found === null ? (typeof value === 'number' ? value : Number.NaN) : Number(found[1])) * (unit ?? NaN)
    if (Number.isFinite(number) && number >= 0) return number
    context.issues.push({ code: 'custom', input: value, message: `${say(value)} is no ${what}` })
    return z.NEVER
  })
}

export const say = (value: unknown): string => {
  if (value === undefined) return 'nothing'
  const text = typeof value === 'string' ? `"${value}"` : (JSON.stringify(value) ?? String(value))
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}

/** Milliseconds. */
export const duration = quantity(DURATIONS, 'duration: write a number and ms, s, m, h or d (like 90s)', 1)
/** Bytes. */
export const size = quantity(SIZES, 'size: write a number and B, kB, MB, GB, KiB, MiB or GiB (like 40MiB)', 1)
/** Bytes a ms. */
export const rate = quantity(RATES, 'rate: write a number and kbit/s, Mbit/s, Gbit/s, kB/s or MB/s (like 100Mbit/s)')
/** Of a whole, beside others: 3 and 1 are what 75% and 25% are. */
export const weight = quantity(PERCENT, 'weight: write a number, or like 5%', 1)
/** From 0 to 1. */
export const share = quantity(PERCENT, 'share: write a number from 0 to 1, or like 5%', 1).refine(
  (one) => one <= 1,
  'a share is at most 1, or 100%'
)

/** Two durations, or one that is both. */
export const range = z.union(
  [z.tuple([duration, duration]), duration.transform((one): [number, number] => [one, one])],
  {
    error: 'write a duration (like 20ms), or two: [least, most]'
  }
)
