/** `leave` (SPEC C10): a roster without the peer where its group has one with it, then the statement that it leaves. */
import type { Command } from 'commander'
import { Refusal } from '../../src/errors.ts'
import type { Status } from '../daemon/status.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import { type Connect, connected } from './connection.ts'
import { readRoot } from './options.ts'
import { type StatementOptions, state } from './statements.ts'

/** Whom it is about, and the roster that names it, with others beside it. */
function placeOf(status: Status, named: string | undefined): { peer: string; roster?: Status['rosters'][number] } {
  const peer = named ?? status.peer
  const known = status.peers.find((one) => one.peer === peer)
  if (known === undefined) {
    throw new Refusal(
      'Usage',
      `peer ${peer} is not known at ${status.peer}; give the address of the peer itself, or its id as status --json shows it`
    )
  }
  if (known.left) throw new Refusal('Usage', `peer ${peer} has left the fleet already; start it again to bring it back`)
  const roster = status.rosters.find(({ members }) => members.includes(peer) && members.length > 1)
  return roster === undefined ? { peer } : { peer, roster }
}

async function leave(connect: Connect, options: StatementOptions, named: string | undefined): Promise<Answer> {
  if (options.out !== undefined) {
    if (named === undefined) throw new Refusal('Usage', 'with --out, name the peer that leaves by its id')
    return await state(connect, options, async () => ({ what: 'leave', peer: named }))
  }
  const rootBytes = await readRoot(options.root)
  const status = await connected(connect, rootBytes, options.peer, (connection) => connection.status())
  const { peer, roster } = placeOf(status, named)
  // The roster first: a peer that is in none may go on serving, one that leaves waits for it.
  const answers: Answer[] = []
  if (roster !== undefined) {
    const { group, number, members } = roster
    const others = members.filter((one) => one !== peer)
    const next = { what: 'roster' as const, group, number: number + 1, members: others }
    answers.push(await state(connect, options, async () => next))
  }
  const left = await state(connect, options, async () => ({ what: 'leave', peer }))
  const after = 'it ends what it has begun, then its process; its data stays in its --data directory'
  return {
    json: { ...left.json, roster: answers[0]?.json ?? null },
    text: [...answers, left].map(({ text }) => text).join('\n') + `\n${after}`
  }
}

export function leaveCommand(
  statement: (name: string, description: string, expires: string) => Command,
  terminal: Terminal,
  connect: Connect
): void {
  answering<StatementOptions>(
    statement(
      'leave',
      'take a peer out of the fleet: out of roster, views and canaries, then its process ends',
      '366d'
    ).argument('[member]', 'id of the peer (default: the one that is asked)'),
    terminal,
    (options, [member]) => leave(connect, options, member)
  )
}
