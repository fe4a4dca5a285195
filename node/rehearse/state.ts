/**
 * Where the state lies that a rehearsal copies, and which version it has (SPEC Q20): a stopped peer's data directory, or
 * one object's attempt directory, from a backup say. Nothing here writes to it.
 */
import { copyFile, mkdir, mkdtemp, readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Refusal } from '../../src/errors.ts'
import type { ObjectState } from '../../src/overlay/lifecycle.ts'
import { type Envelope, parseEntry } from '../../src/upgrade/entry.ts'
import { UpgradeLog } from '../../src/upgrade/log.ts'
import type { Manifest } from '../../src/upgrade/manifest.ts'
import { STATE_FILE } from '../host/state.ts'
import { storeFile } from '../store/directory.ts'
import { openStore } from '../store/store.ts'

export interface HeldState {
  /** The attempt's directory: the original, never to be written to. */
  directory: string
  object: string
  version: number
  /** Future SOs that were started on it. */
  futures: readonly number[]
}

export interface FoundState {
  log: UpgradeLog
  held: HeldState[]
  /** Unpacked bundles of the peer, null where there is only an attempt. */
  bundles: string | null
  /** Lets the peer start again: until then it would be refused its directory. */
  release(): void
}

const BUSY = 5
const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false
      throw error
    }
  )

const whole = (envelope: Envelope<Manifest>) => ({
  ...envelope,
  version: envelope.content.version,
  parent: envelope.content.parent,
  manifest: envelope.content
})

/** @throws Refusal Usage (neither of both), Locked (the peer runs), WrongFleet, StaleParent, DamagedStore */
export async function findState(
  given: string,
  upgrade: Envelope<Manifest>,
  parents: readonly Envelope<Manifest>[],
  workDirectory: string
): Promise<FoundState> {
  const directory = resolve(given)
  if (await exists(storeFile(directory))) return await ofPeer(directory, upgrade, parents, workDirectory)
  if ((await exists(join(directory, STATE_FILE))) || (await exists(join(directory, 'files'))))
    return ofAttempt(directory, upgrade, parents)
  throw new Refusal(
    'Usage',
    `${directory} holds neither a peer's data (peer.sqlite) nor one object's state (${STATE_FILE}); name the --data directory of a stopped peer, or DATA/objects/OBJECT/ATTEMPT of a copy`
  )
}

/** The peer's store is read from a copy: to open it would write to it. */
async function ofPeer(
  data: string,
  upgrade: Envelope<Manifest>,
  parents: readonly Envelope<Manifest>[],
  workDirectory: string
): Promise<FoundState> {
  const release = keepStopped(data)
  try {
    const copy = await mkdtemp(join(workDirectory, 'store-'))
    for (const name of await readdir(data))
      if (/^peer\.sqlite(-journal)?$/.test(name)) await copyFile(join(data, name), join(copy, name))
    const store = openStore(copy)
    const snapshot = store.read()
    store.close()
    const entries = new Map(parents.map((one) => [one.hash, one]))
    const states: ObjectState[] = []
    for (const [key, value] of snapshot) {
      if (key.startsWith('entry/')) {
        const entry = parseEntry(value as Uint8Array)
        entries.set(entry.hash, entry)
      }
      if (key.startsWith('object/')) states.push(value as ObjectState)
    }
    const fleet = String(snapshot.get('fleet') ?? upgrade.content.fleet)
    const log = logOf(fleet, [...entries.values()], upgrade)
    const wanted = lineagesOf(log, upgrade)
    const held = states.flatMap(({ object, current, futures }) =>
      current === null || !wanted.includes(object)
        ? []
        : [{ directory: join(data, 'objects', object, String(current.attempt)), object, ...current, futures }]
    )
    if (held.length === 0)
      throw new Refusal(
        'Usage',
        `${data} holds no state of ${wanted.join(', ')}, which is what the upgrade changes; name a peer that does`
      )
    for (const one of held) checkVersion(log, one, upgrade)
    return { log, held, bundles: join(data, 'bundles'), release }
  } catch (error) {
    release()
    throw error
  }
}

function ofAttempt(directory: string, upgrade: Envelope<Manifest>, parents: readonly Envelope<Manifest>[]): FoundState {
  const log = logOf(upgrade.content.fleet, parents, upgrade)
  const [object, ...others] = lineagesOf(log, upgrade)
  if (object === undefined || others.length > 0)
    throw new Refusal(
      'Usage',
      'the upgrade changes several classes, and a directory of one object does not say which it is; name the data directory of a stopped peer'
    )
  // An attempt does not say which version it is of: it is taken to be the one before.
  const { version } = log.schema.versions(object).findLast((one) => one.version < upgrade.content.version)!
  return { log, held: [{ directory, object, version, futures: [] }], bundles: null, release: () => undefined }
}

function logOf(fleet: string, entries: readonly Envelope<Manifest>[], upgrade: Envelope<Manifest>): UpgradeLog {
  if (upgrade.content.fleet !== fleet)
    throw new Refusal(
      'WrongFleet',
      `the upgrade is for fleet ${upgrade.content.fleet.slice(0, 16)}, the state of ${fleet.slice(0, 16)}; pack it with that fleet's root.json`
    )
  const log = new UpgradeLog(fleet)
  const earlier = entries.filter((one) => one.hash !== upgrade.hash && one.content.version < upgrade.content.version)
  for (const one of earlier.sort((a, b) => a.content.version - b.content.version)) log.add(whole(one))
  try {
    log.check(whole(upgrade))
  } catch (cause) {
    const text = `version ${upgrade.content.version} does not follow what is known here (up to version ${log.head.version}); give the upgrade files between as --parent, or an upgrade that was packed on these`
    throw new Refusal('StaleParent', text, { cause })
  }
  log.add(whole(upgrade))
  if (upgrade.content.classes.every((one) => one.from === null))
    throw new Refusal(
      'Usage',
      `version ${upgrade.content.version} brings new classes only, which begin without state: there is nothing to rehearse`
    )
  return log
}

/** Names on nodes of the objects that the upgrade changes. */
const lineagesOf = (log: UpgradeLog, upgrade: Envelope<Manifest>): string[] =>
  upgrade.content.classes.flatMap(({ from, to }) =>
    from === null ? [] : [log.schemaOf(upgrade.hash).lineageOf(to) ?? to]
  )

function checkVersion(
  log: UpgradeLog,
  { object, version, entry }: HeldState & { entry: string },
  { hash, content }: Envelope<Manifest>
): void {
  const schema = log.schemaOf(hash)
  const target = schema.at(object, content.version)
  if (version < content.version && target !== undefined && schema.wayTo(object, target, entry) !== undefined) return
  const before = schema.versions(object).findLast((one) => one.version < content.version)?.version
  throw new Refusal(
    'StaleParent',
    `${object} is at version ${version} there, and version ${content.version} is made from version ${before}; name a state of that version`
  )
}

/**
 * Whoever reads keeps the lock that the peer needs: it cannot start while its state is copied.
 * @throws Refusal Locked if it runs
 */
function keepStopped(data: string): () => void {
  const database = new DatabaseSync(storeFile(data), { readOnly: true, timeout: 0 })
  try {
    database.exec('BEGIN')
    database.prepare('SELECT count(*) FROM sqlite_schema').get()
  } catch (cause) {
    database.close()
    if (((cause as { errcode?: number }).errcode ?? 0) % 256 === BUSY)
      throw new Refusal(
        'Locked',
        `${data}: its peer is running, and its state changes; stop it, or give a copy of its data`,
        { cause }
      )
    // A peer that was killed left a journal, which a reader cannot roll back; a copy can be.
    return () => undefined
  }
  return () => database.close()
}

export async function freshDirectory(parent: string, name: string): Promise<string> {
  const directory = join(parent, name)
  await mkdir(directory, { recursive: true })
  return directory
}
