/** What `upstart-peer` is told: flags and a configuration file, validated (SPEC D). */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { Refusal } from '../../src/errors.ts'
import { groupSchema, nameSchema } from '../../src/names.ts'
import { MAX_LABELS } from '../../src/overlay/record.ts'
import { MAX_CLASSES } from '../../src/upgrade/manifest.ts'
import { filePathSchema, NETWORK } from '../../src/upgrade/needs.ts'
import { obstacle } from '../obstacles.ts'

export const USAGE = `upstart-peer: one peer of a fleet that upgrades itself

  upstart-peer --data DIR --root root.json [options]

  --data DIR             directory of this peer's own: keys, log, bundles, state (created with mode 0700)
  --root FILE            the fleet's trust root, made by: upstart root new
  --listen ADDR          multiaddr to listen on; repeatable (default /ip4/127.0.0.1/tcp/0)
  --bootstrap ADDR       multiaddr of a peer of the fleet, ending in /p2p/PEER; repeatable
  --mdns, --no-mdns      find peers of the fleet on the local network by multicast DNS, and be found
                         (default: if a --listen is not loopback)
  --group NAME           the group (of replicas, usually) that this peer belongs to
  --label K=V            a label that schedules can select by; repeatable
  --class NAME           host objects of this class only; repeatable (default: every class of the fleet)
  --sandbox MODE         auto | bwrap | none: how children are confined (default auto)
  --ticket FILE          what admits this peer to a private fleet, made by: upstart admit; read again when it changes
  --allow WHAT           what confined code may have if its upgrade says that it needs it: network, or the absolute
                         path of a file or directory to read; repeatable (default nothing)
  --memory-limit MIB     resident memory at which a child is ended (default 1024)
  --drain MS             how long calls may run on when their object stops for an upgrade (default 10000)
  --keep MS              how long bundles stay that are no longer needed here nor to be kept for others (default 600000)
  --log-level LEVEL      fatal | error | warn | info | debug | trace (default info)
  --config FILE          a JSON file with the same names; flags win
  --peer-id              print this peer's id (its key is made if there is none), and end
  --print-config         print the configuration that results, and end
  --version, --help
`

/** Whether it is one that can be used at all is for the network to say (SPEC C11). */
const address = z
  .string()
  .max(200)
  .startsWith('/', 'an address is a multiaddr, like /ip4/127.0.0.1/tcp/4001')
  .refine((text) => Number(/\/tcp\/(\d+)/.exec(text)?.[1] ?? 0) < 65_536, 'a port is a number from 0 to 65535')

export const configurationSchema = z.strictObject({
  data: z.string("give the directory of this peer's own").min(1),
  root: z.string("give the fleet's root.json, made by: upstart root new").min(1),
  listen: z.array(address).max(8).default(['/ip4/127.0.0.1/tcp/0']),
  bootstrap: z
    .array(address.regex(/\/p2p\/[A-Za-z0-9]+$/, 'an address to start from ends in /p2p/PEER'))
    .max(64)
    .default([]),
  /** Null: if an address to listen on is not loopback. */
  mdns: z.boolean().nullable().default(null),
  group: groupSchema.nullable().default(null),
  labels: z
    .record(z.string().min(1).max(64), z.string().max(64))
    .refine((labels) => Object.keys(labels).length <= MAX_LABELS, `at most ${MAX_LABELS} labels`)
    .default({}),
  classes: z.array(nameSchema).max(MAX_CLASSES).nullable().default(null),
  /** Null: in an open fleet. */
  ticket: z.string().min(1).nullable().default(null),
  sandbox: z.enum(['auto', 'bwrap', 'none'], 'auto, bwrap or none').default('auto'),
  allow: z
    .array(z.union([z.literal(NETWORK), filePathSchema], 'network, or an absolute path without "." and ".."'))
    .max(64)
    .default([]),
  memoryLimitMib: z
    .int('a number of MiB, 32 or more')
    .min(32)
    .max(1024 * 1024)
    .default(1024),
  drainMs: z.int().min(0).max(600_000).default(10_000),
  keepMs: z
    .int()
    .min(0)
    .max(366 * 24 * 3_600_000)
    .default(600_000),
  logLevel: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace'], 'fatal, error, warn, info, debug or trace')
    .default('info')
})

/** Whether others than this host may dial what is listened on. */
export const isBeyondLoopback = (address: string): boolean =>
  !/^\/(ip4\/127\.|ip6\/::1\/|dns[46]?\/localhost\/)/.test(address)

export type Configuration = z.infer<typeof configurationSchema>

export type Request =
  | { action: 'run' | 'print' | 'peer-id'; configuration: Configuration }
  | { action: 'help' | 'version' }

const OPTIONS = {
  data: { type: 'string' },
  root: { type: 'string' },
  listen: { type: 'string', multiple: true },
  bootstrap: { type: 'string', multiple: true },
  mdns: { type: 'boolean' },
  group: { type: 'string' },
  label: { type: 'string', multiple: true },
  class: { type: 'string', multiple: true },
  ticket: { type: 'string' },
  sandbox: { type: 'string' },
  allow: { type: 'string', multiple: true },
  'memory-limit': { type: 'string' },
  drain: { type: 'string' },
  keep: { type: 'string' },
  'log-level': { type: 'string' },
  config: { type: 'string' },
  'peer-id': { type: 'boolean' },
  'print-config': { type: 'boolean' },
  version: { type: 'boolean', short: 'V' },
  help: { type: 'boolean', short: 'h' }
} as const

/** @throws Refusal Usage, in one line with the mend. */
export function readConfiguration(args: string[]): Request {
  const values = flags(args)
  if (values.help === true) return { action: 'help' }
  if (values.version === true) return { action: 'version' }
  const told: Record<string, unknown> = {
    data: values.data,
    root: values.root,
    listen: values.listen,
    bootstrap: values.bootstrap,
    mdns: values.mdns,
    group: values.group,
    labels: values.label && Object.fromEntries(values.label.map(labelOf)),
    classes: values.class,
    ticket: values.ticket,
    sandbox: values.sandbox,
    allow: values.allow,
    memoryLimitMib: values['memory-limit'] && Number(values['memory-limit']),
    drainMs: values.drain && Number(values.drain),
    keepMs: values.keep && Number(values.keep),
    logLevel: values['log-level']
  }
  const given = Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined))
  const merged = { ...(values.config === undefined ? {} : fileOf(values.config)), ...given }
  const parsed = configurationSchema.safeParse(merged)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const name = issue?.path.join('.') ?? ''
    throw new Refusal('Usage', `${name === '' ? '' : `--${flagOf(name)}: `}${issue?.message}; see upstart-peer --help`)
  }
  const action = values['print-config'] === true ? 'print' : values['peer-id'] === true ? 'peer-id' : 'run'
  return { action, configuration: parsed.data }
}

function flags(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, strict: true, allowNegative: true }).values
  } catch (error) {
    throw new Refusal('Usage', `${(error as Error).message.split('. ')[0]}; see upstart-peer --help`)
  }
}

function fileOf(path: string): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    const why = obstacle(error).split('\n')[0]
    throw new Refusal('Usage', `--config ${path}: ${why}; it must be a file that holds one JSON object`)
  }
}

function labelOf(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new Refusal('Usage', `--label ${text}: a label is written K=V`)
  return [text.slice(0, at), text.slice(at + 1)]
}

const FLAG_NAMES: Record<string, string> = {
  labels: 'label',
  classes: 'class',
  memoryLimitMib: 'memory-limit',
  drainMs: 'drain',
  keepMs: 'keep',
  logLevel: 'log-level'
}

function flagOf(path: string): string {
  const first = path.split('.')[0]!
  return FLAG_NAMES[first] ?? first
}
