/** `lock`, `unlock` (SPEC C17, S26): a program on a peer's host holds up upgrades whose schedules ask for that. */
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { Refusal } from '../../src/errors.ts'
import { MAX_LOCK_MS } from '../../src/overlay/locks.ts'
import { type Duration, durationMs } from '../../src/schedule/combinators.ts'
import { localToken, readPeerKey } from '../network/key.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import { type Connect, type ConnectionOptions, connected } from './connection.ts'
import { peerOption, readRoot, rootOption } from './options.ts'

interface LockOptions extends ConnectionOptions {
  data: string
  reason?: string
  for?: string
}

function lasting(duration: string): number {
  const forMs = durationMs(duration as Duration)
  if (forMs < 1 || forMs > MAX_LOCK_MS)
    throw new Refusal(
      'Usage',
      `--for ${duration}: a lock is held for at most 7d, like 2h; take it again to hold it longer`
    )
  return forMs
}

/** Who can read the peer's key is at home there, and is told so by what only the key gives. */
async function change(
  connect: Connect,
  { data, root, peer, reason, for: duration }: LockOptions,
  name: string
): Promise<Answer> {
  const key = await readPeerKey(join(data, 'peer.key'))
  const here = peer?.filter((address) => address.endsWith(`/p2p/${key.peer}`)) ?? []
  if (here.length === 0)
    throw new Refusal('Usage', `${data} belongs to peer ${key.peer}; give its own address with --peer`)
  const held = duration === undefined ? null : { reason: reason ?? '', forMs: lasting(duration) }
  const answer = await connected(connect, await readRoot(root), here, (connection) =>
    connection.lock(localToken(key.seed), name, held)
  )
  return { json: { peer: key.peer, name, answer }, text: answer }
}

export function lockCommands(program: Command, terminal: Terminal, connect: Connect): void {
  const local = (command: Command): Command =>
    command
      .argument('[name]', 'several programs may hold one each', 'local')
      .addOption(new Option('--data <dir>', 'data directory of the peer').env('UPSTART_DATA').makeOptionMandatory())
      .addOption(rootOption())
      .addOption(peerOption())
  answering<LockOptions>(
    local(program.command('lock').description('hold up upgrades of the peer on this host whose schedule names lock()'))
      .requiredOption('--reason <text>', 'shown to whoever asks why the peer waits')
      .requiredOption('--for <duration>', 'it ends by itself after so long (at most 7d), like 2h'),
    terminal,
    (options, [name]) => change(connect, options, name ?? 'local')
  )
  answering<LockOptions>(
    local(program.command('unlock').description('release what "upstart lock" holds')),
    terminal,
    (options, [name]) => change(connect, options, name ?? 'local')
  )
}
