/** `upstart check` (SPEC Q11): the code of an upgrade held against its specification, before anybody signs it. */
import type { Command } from 'commander'
import { Refusal } from '../../src/errors.ts'
import { reportPage } from '../check/html.ts'
import { type CheckPlan, withPlan } from '../check/plan.ts'
import { reportText } from '../check/text.ts'
import { type ClassReport, runChecks } from '../check/worker.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import { several } from './options.ts'
import { writeWhole } from './whole.ts'

interface CheckOptions {
  parent?: string[]
  effort: string
  seed: string
  suggest?: boolean
  html?: string
}

/** Calls of exhaustive histories, random histories, and those in killed processes: about a second, ten seconds, some minutes. */
const EFFORTS: Readonly<Record<string, { calls: number; histories: number; killed: number }>> = {
  short: { calls: 60_000, histories: 100, killed: 0 },
  normal: { calls: 600_000, histories: 500, killed: 5 },
  long: { calls: 5_000_000, histories: 5_000, killed: 100 }
}

export async function checkSource(
  source: string,
  { parent = [], effort, seed, suggest = false }: CheckOptions,
  progress: (text: string) => void
): Promise<{ plan: CheckPlan; reports: ClassReport[] }> {
  const found = EFFORTS[effort]
  if (found === undefined) throw new Refusal('Usage', `--effort ${effort}: it is ${Object.keys(EFFORTS).join(', ')}`)
  if (!/^\d{1,9}$/.test(seed)) throw new Refusal('Usage', `--seed ${seed}: a number from 0 to 999999999`)
  return await withPlan(source, parent, async (plan) => ({
    plan,
    reports: await runChecks({ classes: plan.classes, effort: { ...found, seed: Number(seed) }, suggest }, progress)
  }))
}

export const isWrong = ({ matrix, check }: ClassReport): boolean =>
  check?.ok === false || matrix.some((row) => row.before === 'missing' || row.after === 'missing')

async function checkCommand(source: string, options: CheckOptions, terminal: Terminal): Promise<Answer> {
  const { plan, reports } = await checkSource(source, options, (text) => terminal.progress?.(text))
  const parents = (options.parent ?? []).map((path) => ` --parent ${path}`).join('')
  const replay = `upstart check ${source}${parents} --effort ${options.effort} --seed ${options.seed}`
  const wrong = reports.filter(isWrong)
  const added = plan.added.map((name) => `${name} is new in version ${plan.version}: nothing to compare it with`)
  if (options.html !== undefined)
    await writeWhole(options.html, new TextEncoder().encode(reportPage(reports, plan, replay)))
  const verdict =
    wrong.length === 0 ? 'nothing wrong was found' : `wrong: ${wrong.map((one) => one.becomes).join(', ')}`
  return {
    json: { version: plan.version, ok: wrong.length === 0, classes: reports, added: plan.added },
    text: [...reports.map((one) => `${reportText(one, replay)}\n`), ...added, verdict].join('\n'),
    failed: wrong.length > 0
  }
}

export function checkCommands(program: Command, terminal: Terminal): void {
  answering<CheckOptions>(
    program
      .command('check')
      .description('hold the code of an upgrade against its specification')
      .argument('<source>', 'the directory of upgrade.ts, or the file itself')
      .option('--parent <file>', 'upgrade file of an earlier version, with the old code (may be repeated)', several)
      .option('--effort <effort>', `how much is tried: ${Object.keys(EFFORTS).join(', ')}`, 'normal')
      .option('--seed <n>', 'of the random histories', '1')
      .option('--suggest', 'look for the weakest refusal that would mend what is wrong')
      .option('--html <file>', 'write a report to look at'),
    terminal,
    (options, [source]) => checkCommand(source!, options, terminal)
  )
}
