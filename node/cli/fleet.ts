/** Commands that talk to a running fleet: `inject`, `call` (SPEC C6, C9). */
import { type Command, InvalidArgumentError } from 'commander'
import { createLogUpdate } from 'log-update'
import { Refusal } from '../../src/errors.ts'
import { kindOf, parseStatement } from '../../src/upgrade/entry.ts'
import { type Entry, MAX_ENTRY_BYTES } from '../../src/upgrade/manifest.ts'
import { isRoot, parseRoot } from '../../src/upgrade/root.ts'
import { checkStrategies } from '../../src/upgrade/scheduling.ts'
import { openTrust, type Trust } from '../../src/upgrade/trust.ts'
import type { CallTarget, Value } from '../../src/versions/types.ts'
import { ofFile } from '../obstacles.ts'
import { openUpgradeFile, type UpgradeFile } from '../pack/file.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import { type Connect, type ConnectionOptions, connected, refuseLapsed } from './connection.ts'
import { isDocument, milliseconds, peerOption, readBounded, readRoot, rootOption } from './options.ts'

/** A line that is redrawn while pieces go over; nothing in a pipe. */
function progressOn(stream: NodeJS.WriteStream): (done: number, of: number) => void {
  if (!stream.isTTY) return () => undefined
  const draw = createLogUpdate(stream)
  return (done, of) => (done === of ? draw.clear() : draw(`pieces sent: ${done} of ${of}`))
}

/** The same refusals as the peer's, before anything is sent. */
function judge(trust: Trust, path: string, { envelope: { bytes } }: UpgradeFile): Entry {
  const entry = ofFile(path, () => trust.openEntry(bytes))
  ofFile(path, () => checkStrategies(entry.manifest))
  ofFile(path, () => refuseLapsed(trust, 'entry', bytes))
  if (!trust.expired(bytes, Date.now())) return entry
  throw new Refusal(
    'Expired',
    `${path}: its time for a first injection, or its root's, has passed; pack and sign it anew with a later --expires`
  )
}

/** What the root at hand refuses is refused before anybody is asked, unless the fleet may have a newer root. */
function judgeFirst(judging: () => unknown): void {
  try {
    judging()
  } catch (error) {
    if (!(error instanceof Refusal) || (error.code !== 'UnknownKey' && error.code !== 'Expired')) throw error
  }
}

async function injectUpgrade(connect: Connect, path: string, options: ConnectionOptions): Promise<Answer> {
  const rootBytes = await readRoot(options.root)
  const file = await openUpgradeFile(path)
  try {
    judgeFirst(() => judge(openTrust(rootBytes), path, file))
    await file.verify()
    return await connected(connect, rootBytes, options.peer, async (connection) => {
      const { version, hash } = judge(await connection.trust(), path, file)
      const answer = await connection.injectUpgrade(file, progressOn(process.stderr))
      return { json: { kind: 'entry', version, hash, answer }, text: `${answer}; entry ${hash}` }
    })
  } finally {
    await file.close()
  }
}

/** T13: the next root of the one that the fleet trusts now. */
async function injectRoot(
  connect: Connect,
  path: string,
  bytes: Uint8Array,
  options: ConnectionOptions
): Promise<Answer> {
  const { version, hash } = ofFile(path, () => parseRoot(bytes))
  const rootBytes = await readRoot(options.root)
  return await connected(connect, rootBytes, options.peer, async (connection) => {
    const trust = await connection.trust()
    ofFile(path, () => trust.rotated(bytes))
    const answer = await connection.injectRoot(bytes)
    return { json: { kind: 'root', version, hash, answer }, text: `${answer}; root ${hash}` }
  })
}

async function injectStatement(connect: Connect, path: string, options: ConnectionOptions): Promise<Answer> {
  const rootBytes = await readRoot(options.root)
  const bytes = await readBounded(path, MAX_ENTRY_BYTES, 'give an upgrade file, a statement or the next root')
  if (isRoot(bytes)) return await injectRoot(connect, path, bytes, options)
  if (ofFile(path, () => kindOf(bytes)) === 'entry')
    throw new Refusal('Usage', `${path}: an entry without its bundle; inject the upgrade file`)
  judgeFirst(() => ofFile(path, () => openTrust(rootBytes).openStatement(bytes)))
  const { hash, content } = parseStatement(bytes)
  const answer = await connected(connect, rootBytes, options.peer, async (connection) => {
    const trust = await connection.trust()
    ofFile(path, () => trust.openStatement(bytes))
    ofFile(path, () => refuseLapsed(trust, 'statement', bytes))
    return await connection.injectStatement(bytes)
  })
  return {
    json: { kind: 'statement', what: content.what, hash, answer },
    text: `${answer}; statement ${hash}`
  }
}

interface CallOptions extends ConnectionOptions {
  at: number
  to?: string
  group?: string
  key?: string
  id?: string
  timeout: number
}

/** An argument is JSON where it can be read as JSON, else the text itself: `call KV put name '{"a":1}'`. */
export function argumentOf(text: string): Value {
  const looksLikeJson = /^([[{"]|-?\d|(true|false|null)$)/.test(text)
  if (!looksLikeJson) return text
  try {
    return JSON.parse(text) as Value
  } catch (cause) {
    if (/^["[{]/.test(text))
      throw new Refusal('Usage', `argument ${text}: begins like JSON and is none; quote it for the shell`, { cause })
    return text
  }
}

/** Values that JSON lacks, as text. */
function printable(value: Value): unknown {
  if (value === undefined) return null
  const text = JSON.stringify(value, (_key, one) => {
    if (typeof one === 'bigint') return one.toString()
    return one instanceof Uint8Array ? { base64: Buffer.from(one).toString('base64') } : one
  })
  return JSON.parse(text)
}

function callTarget({ to, group, key }: CallOptions): CallTarget['to'] {
  if (to !== undefined) return { peer: to }
  if (group !== undefined) return key === undefined ? { group } : { group, key }
  if (key !== undefined) throw new Refusal('Usage', '--key chooses a member of a group: give --group too')
  return 'any'
}

async function call(connect: Connect, [className, method, ...args]: string[], options: CallOptions): Promise<Answer> {
  const request = {
    class: className!,
    version: options.at,
    method: method!,
    args: args.map(argumentOf),
    to: callTarget(options),
    timeoutMs: options.timeout,
    ...(options.id === undefined ? {} : { id: options.id })
  }
  const result = await connected(connect, await readRoot(options.root), options.peer, async (connection) => {
    // A call would try its whole time to reach a peer that is not there, or that is of another fleet.
    await connection.status()
    return await connection.call(request)
  })
  const shown = printable(result)
  const text = typeof shown === 'string' ? shown : JSON.stringify(shown, null, 2)
  return { json: { result: shown }, text: result === undefined ? 'done' : text }
}

function version(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('a version is a number from 1 on.')
  return Number(text)
}

export function fleetCommands(program: Command, terminal: Terminal, connect: Connect): void {
  const online = (command: Command): Command => command.addOption(rootOption()).addOption(peerOption())
  answering<ConnectionOptions>(
    online(
      program
        .command('inject')
        .description('give an upgrade file, a statement or the next root to one peer; peers carry it on')
        .argument('<file>')
    ),
    terminal,
    async (options, [file]) => ((await isDocument(file!)) ? injectStatement : injectUpgrade)(connect, file!, options)
  )
  answering<CallOptions>(
    online(
      program
        .command('call')
        .description('call a method of a class')
        .argument('<class>')
        .argument('<method>')
        .argument('[args...]', 'JSON, or plain text')
    )
      .requiredOption('--at <version>', 'version of the class that the call is written for', version)
      .option('--to <peer>', 'id of the peer to call (default: any that serves it)')
      .option('--group <group>', 'call a member of this group')
      .option('--key <key>', 'the member that this key chooses')
      .option('--id <id>', 'stable id: a retry with the same id can be recognised')
      .option('--timeout <time>', 'bound on the whole call', milliseconds, 10_000),
    terminal,
    (options, args) => call(connect, args, options)
  )
}
