/** What a scenario file may say (SPEC M28). Every field has a default, so that the empty file is a calm fleet of 30. */
import { z } from 'zod'
import { MAX_LOCK_MS } from '../../src/overlay/locks.ts'
import { MAX_BUNDLE_BYTES } from '../../src/upgrade/manifest.ts'
import { duration, range, rate, say, share, size, weight } from './quantities.ts'
import { scheduleOrName } from './schedules.ts'

/** A map with these fields only; what is not among them is named, with those that are. */
export function fields<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `there is no field ${issue.keys.map((key: string) => `"${key}"`).join(', ')} here; there are ${Object.keys(shape).join(', ')}`
        : 'fields are needed here, each as "name: value"'
  })
}

const label = z.string().min(1).max(64)
const where = z.record(
  label,
  z.union([label, z.array(label).min(1)]).transform((one) => [one].flat())
)
const whole = z.int().min(0)
const version = z.int().min(1)
/** Of each name its share: they count beside each other. */
const shares = z.record(label, weight).refine((all) => Object.keys(all).length > 0, 'name at least one')

/** Least and most; or quantiles: least, p50, p95, most; or what `upstart rehearse --json` told, by its file. */
const transform = z.union(
  [
    fields({ least: duration, p50: duration, p95: duration, most: duration }),
    fields({ rehearsal: z.string().min(1) }),
    range
  ],
  { error: 'write a duration, [least, most], { least, p50, p95, most }, or { rehearsal: FILE }' }
)

const fails = z.union([
  share.transform((one) => [{ share: one, where: {} as Record<string, string[]> }]),
  z.array(fields({ share, where: where.default({}) })).min(1)
])

export const upgradeSchema = fields({
  /** When the operator injects it. */
  at: duration.optional(),
  /** A file of `upstart pack`: classes, schedules, bundle and SOs are the real ones. */
  file: z.string().min(1).optional(),
  schedule: scheduleOrName.optional(),
  bundle: size.refine((one) => one >= 1 && one <= MAX_BUNDLE_BYTES, 'a bundle is 1 B to 1 GiB').optional(),
  future: z.boolean().optional(),
  past: z.boolean().optional(),
  transform: transform.optional(),
  /** Share of the peers where its objects do not prove their health. */
  fails: fails.optional(),
  /** No object of it proves its health, anywhere. */
  broken: z.boolean().default(false),
  /** Share of the calls that fail through the fault of its objects, once they serve. */
  errors: share.optional(),
  /** What an SO of it adds to a call, and the share of calls that it refuses. */
  simulation: fields({ cost: duration.default(0), disallows: share.default(0) }).optional(),
  /** The version whose entry it takes the place of. */
  replaces: version.optional()
})

const at = duration
const operatorSchema = z.discriminatedUnion(
  'do',
  [
    fields({ at, do: z.literal('pause'), version: version.nullable().default(null), for: duration }),
    fields({
      at,
      do: z.literal('hold'),
      node: whole.optional(),
      where: where.default({}),
      class: z.string().min(1).optional(),
      version: version.nullable().default(null),
      for: duration
    }),
    fields({ at, do: z.literal('resume') }),
    fields({ at, do: z.literal('release') }),
    fields({ at, do: z.literal('approve'), version }),
    fields({ at, do: z.literal('hasten'), version }),
    fields({ at, do: z.literal('abort'), version }),
    fields({ at, do: z.literal('retry'), version, node: whole.optional(), discardFuture: z.boolean().default(false) }),
    fields({ at, do: z.literal('forget'), version }),
    fields({ at, do: z.literal('retire'), version }),
    fields({ at, do: z.literal('rotate') }),
    fields({ at, do: z.literal('leave'), node: whole }),
    fields({ at, do: z.literal('exclude'), node: whole, roster: version }),
    fields({ at, do: z.literal('roster'), group: whole, number: version, members: z.array(whole).optional() })
  ],
  {
    error:
      'an action has "at", and "do": pause, hold, resume, release, approve, hasten, abort, retry, forget, retire, rotate, leave, exclude or roster'
  }
)

/** Which peers: these, or so many, or such a share, of all or of those with these labels. */
const chosen = {
  nodes: z.array(whole).min(1).optional(),
  count: z.int().min(1).optional(),
  share: share.optional(),
  where: where.default({})
}
const struck = { at, over: duration.default(0), ...chosen }
const faultSchema = z.discriminatedUnion(
  'what',
  [
    fields({ ...struck, what: z.literal('crash'), down: range.default([5000, 5000]) }),
    fields({ ...struck, what: z.literal('depart') }),
    fields({ ...struck, what: z.literal('kill') }),
    fields({ ...struck, what: z.literal('flap'), links: share.default(1) }),
    fields({
      ...struck,
      what: z.literal('slow'),
      delay: duration.default(0),
      factor: z.number().min(1).default(1),
      for: duration.optional()
    }),
    fields({ ...struck, what: z.literal('skew'), by: z.string().or(z.number()) }),
    /** Their clients make so many calls a second, for a time. */
    fields({ ...struck, what: z.literal('load'), calls: z.number().min(0).max(1e6), for: duration }),
    /** A program on the machine holds upgrades up. */
    fields({
      ...struck,
      what: z.literal('lock'),
      for: duration.refine((one) => one <= MAX_LOCK_MS, 'a lock lasts 7d at most')
    }),
    fields({ ...struck, what: z.literal('forge') }),
    fields({ ...struck, what: z.literal('rot') }),
    /** Those chosen on one side, everybody else on the other. */
    fields({ at, ...chosen, what: z.literal('partition'), for: duration }),
    fields({ at, what: z.literal('stop') })
  ],
  {
    error:
      'a fault has "at", and "what": crash, depart, kill, flap, slow, skew, load, lock, forge, rot, partition or stop'
  }
)

const regions = fields({
  kind: z.literal('regions'),
  shares,
  /** One way, of each pair of regions: eu: { eu: 5ms, us: 45ms }; told one way round it counts for both. */
  latency: z.record(label, z.record(label, duration)),
  local: share.default(0.7),
  groups: z.enum(['spread', 'together']).default('spread')
})
const clusters = fields({
  kind: z.literal('clusters'),
  count: z.int().min(2).max(10_000),
  /** What each cluster sends to, and receives from, all others together. */
  link: rate,
  delay: duration.default(20),
  within: duration.default(1),
  local: share.default(0.8),
  groups: z.enum(['spread', 'together']).default('together')
})
const topologySchema = z.union(
  [z.literal('random'), z.literal('scale-free'), z.discriminatedUnion('kind', [regions, clusters])],
  {
    error: (issue) =>
      isNamed(issue.input)
        ? undefined
        : 'a topology is random, scale-free, { kind: regions, … } or { kind: clusters, … }'
  }
)
const isNamed = (input: unknown): boolean =>
  typeof input === 'object' && input !== null && ['regions', 'clusters'].includes((input as { kind: string }).kind)

const networkSchema = fields({
  delay: duration.default(5),
  jitter: duration.default(3),
  loss: share.default(0),
  /** Single messages are lost, doubled and overtake each other; otherwise a loss breaks the connection, as with TCP. */
  raw: z.boolean().default(false),
  duplication: share.default(0),
  detection: range.default([100, 5000]),
  dialTimeout: duration.default(3000),
  /** For so long a peer opens a broadcast before it passes it on. */
  pass: duration.default(1)
})

const HOST_COMMANDS = [
  'start',
  'warm',
  'drain',
  'transform',
  'prove',
  'serve',
  'abandon',
  'simulate',
  'remove',
  'clean'
] as const
const hostSchema = fields({
  ...(Object.fromEntries(HOST_COMMANDS.map((name) => [name, range.optional()])) as Record<
    (typeof HOST_COMMANDS)[number],
    z.ZodOptional<typeof range>
  >),
  failures: fields({
    start: share.optional(),
    warm: share.optional(),
    transform: share.optional(),
    prove: share.optional(),
    serve: share.optional(),
    simulate: share.optional()
  }).default({})
})

/** Peers share them; what each thing takes of one. */
const processorsSchema = fields({
  count: z.int().min(1).max(1_000_000),
  send: duration.default(0),
  receive: duration.default(0),
  sendKib: duration.default(0),
  receiveKib: duration.default(0),
  copy: duration.default(0),
  open: duration.default(0),
  step: duration.default(0),
  /** By event; of a message as "message piece". */
  steps: z.record(label, duration).default({}),
  commit: duration.default(0),
  storeKib: duration.default(0),
  unpackKib: duration.default(0),
  /** Of each second, for each peer. */
  rest: duration.default(0),
  host: fields(
    Object.fromEntries(HOST_COMMANDS.map((name) => [name, duration.optional()])) as Record<
      (typeof HOST_COMMANDS)[number],
      z.ZodOptional<typeof duration>
    >
  ).default({})
})

const limitsSchema = fields({
  degree: z.int().min(1).optional(),
  degreeMax: z.int().min(1).optional(),
  passive: z.int().min(1).optional(),
  view: z.int().min(1).optional(),
  round: duration.optional(),
  roundMax: duration.optional(),
  drain: duration.optional(),
  piecesInFlight: z.int().min(1).optional(),
  keep: duration.optional(),
  census: duration.optional(),
  epoch: duration.optional()
})

const notAStart = (input: unknown): string =>
  `${say(input)} is no duration: write a number and ms, s, m, h or d (like 90s); or "formed"`

export const documentSchema = fields({
  description: z.string().max(2000).default(''),
  peers: z.int().min(1).max(10_000_000).default(30),
  groups: fields({ size: z.int().min(0).max(64).default(3), unavailable: z.int().min(1).max(64).default(1) }).prefault(
    {}
  ),
  classes: z
    .array(z.string().regex(/^[A-Za-z]\w{0,30}$/, 'a class is a letter, then letters and digits'))
    .min(1)
    .max(8)
    .optional(),
  labels: z.record(label, shares).default({}),
  topology: topologySchema.default('random'),
  network: networkSchema.prefault({}),
  /** The first whose labels match bounds a peer's line. */
  bandwidth: z
    .union([z.array(fields({ where: where.default({}), up: rate, down: rate })), fields({ up: rate, down: rate })])
    .default([]),
  disk: fields({ sync: range.default([0.5, 3]), store: range.default([2, 10]) }).prefault({}),
  host: hostSchema.prefault({}),
  /** Without them computing costs no time. */
  processors: processorsSchema.optional(),
  limits: limitsSchema.default({}),
  bootstrap: z.int().min(1).max(32).default(3),
  /** Peers start spread over this time; or the fleet has met before, and runs version 1. Some come only later. */
  start: z.union([z.literal('formed'), duration], { error: ({ input }) => notAStart(input) }).default(1000),
  late: fields({ share, at: duration }).optional(),
  /** How long peers stay (mean, exponential), for how long they are away, and the share that never comes back. */
  churn: fields({
    stay: duration,
    away: duration.default(60_000),
    forever: share.default(0),
    from: duration.default(0),
    until: duration
  }).optional(),
  /** Version 1, installed from nothing. */
  install: upgradeSchema.prefault({}),
  /** Version 2 and so on. */
  upgrades: z.array(upgradeSchema).max(32).prefault([{}]),
  operator: z.array(operatorSchema).max(10_000).default([]),
  faults: z.array(faultSchema).max(10_000).default([]),
  /** Named, for upgrades and for --compare. */
  schedules: z.record(label, scheduleOrName).default({}),
  calls: fields({ perSecond: z.number().min(0).max(1e6).default(20), deadline: duration.default(5000) }).prefault({}),
  /** Of clients, a second, over the whole fleet. */
  writes: z.number().min(0).max(1e6).default(20),
  /** After so long a run that has not converged is stuck; by default as long as schedules take, and an hour. */
  duration: duration.optional(),
  /** Watched after everything converged. */
  idle: duration.default(0),
  /** Copies whatever peers hand over, and keeps their last events: for small fleets. */
  strict: z.boolean().optional()
})

export type Document = z.infer<typeof documentSchema>
export type DocumentUpgrade = Document['upgrades'][number]
export type DocumentFault = Document['faults'][number]
