/** Commands that only look: `status`, `explain`, `history` (SPEC C8, C14, C18). */
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { createLogUpdate } from 'log-update'
import { type Answer, answering, legible, type Terminal } from './command.ts'
import { type Connect, type ConnectionOptions, connected } from './connection.ts'
import { explain } from './explain.ts'
import { history } from './history.ts'
import { milliseconds, peerOption, readRoot, rootOption, wholeNumber } from './options.ts'
import { statusText } from './table.ts'

interface StatusOptions extends ConnectionOptions {
  watch?: boolean
  all?: boolean
  interval: number
  json?: boolean
}

/** Redraws until it is interrupted; with --json one line per look. */
async function watch(connect: Connect, terminal: Terminal, options: StatusOptions): Promise<never> {
  const rootBytes = await readRoot(options.root)
  const draw = createLogUpdate(process.stdout)
  return connected(connect, rootBytes, options.peer, async (connection) => {
    for (;;) {
      const status = await connection.status()
      if (options.json) terminal.out(`${JSON.stringify(status)}\n`)
      else draw(legible(statusText(status, columnsOf(terminal), options.all)))
      await delay(options.interval)
    }
  })
}

const columnsOf = (terminal: Terminal): number => terminal.columns?.() ?? Number.POSITIVE_INFINITY

async function status(connect: Connect, terminal: Terminal, options: StatusOptions): Promise<Answer> {
  if (options.watch) return watch(connect, terminal, options)
  const found = await connected(connect, await readRoot(options.root), options.peer, (connection) =>
    connection.status()
  )
  return { json: { ...found }, text: statusText(found, columnsOf(terminal), options.all) }
}

export function statusCommands(program: Command, terminal: Terminal, connect: Connect): void {
  const online = (command: Command): Command => command.addOption(rootOption()).addOption(peerOption())
  answering<StatusOptions>(
    online(program.command('status').description('how far the fleet is, as a peer knows it'))
      .option('-w, --watch', 'go on showing it until interrupted')
      .option('-a, --all', 'of a large fleet, also the peers that are through')
      .option('--interval <time>', 'how often --watch looks', milliseconds, 1000),
    terminal,
    (options) => status(connect, terminal, options)
  )
  answering<ConnectionOptions & { last: number }>(
    online(program.command('history').description('what was decided by whom, and how this node upgraded')).option(
      '--last <n>',
      'how many, the newest',
      wholeNumber,
      40
    ),
    terminal,
    (options) => history(connect, options, columnsOf(terminal))
  )
  answering<ConnectionOptions>(
    online(
      program
        .command('explain')
        .description('why a peer waits, since when, for whom, and what can be done')
        .argument('[node]', 'id of a peer, or the end of it (default: the peer that is asked)')
    ),
    terminal,
    (options, [name]) => explain(connect, options, name, columnsOf(terminal))
  )
}
