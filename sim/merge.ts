/** The runs of several shards as one list (SPEC M30). */
import { Refusal } from '../src/errors.ts'
import { NO_CURVES, type Outcome, type Run } from './outcome.ts'

/**
 * Takes the lines that hold a run; statistics of one shard are of no use here. Sorted by variant, in the order in which
 * variants first come, and seed.
 *
 * @throws Refusal Malformed: a line that is no JSON, no run at all, or a run told twice differently
 */
export function merged(files: readonly { file: string; text: string }[]): Run[] {
  const runs = new Map<string, Run>()
  for (const { file, text } of files) {
    for (const [index, line] of text.split('\n').entries()) {
      const run = line.trim() === '' ? undefined : runIn(line, `${file}: line ${index + 1}`)
      if (run === undefined) continue
      const { variant, seed, trace, scenario } = run.outcome
      const key = JSON.stringify([scenario, variant, seed])
      const known = runs.get(key)
      if (known !== undefined && known.outcome.trace !== trace)
        throw new Refusal(
          'Malformed',
          `${file}: seed ${seed} went otherwise in another file: they are of different commits or scenarios; run the shards again`
        )
      runs.set(key, run)
    }
  }
  if (runs.size === 0)
    throw new Refusal(
      'Malformed',
      `there are no runs in ${files.map(({ file }) => file).join(', ')}; run the shards with --json or --out`
    )
  const order = new Map<string, number>()
  const rank = ({ variant }: Outcome) => {
    const key = JSON.stringify(variant)
    if (!order.has(key)) order.set(key, order.size)
    return order.get(key)!
  }
  const ranked = [...runs.values()].map((run) => ({ run, variant: rank(run.outcome) }))
  ranked.sort((a, b) => a.variant - b.variant || a.run.outcome.seed - b.run.outcome.seed)
  return ranked.map(({ run }) => run)
}

function runIn(line: string, where: string): Run | undefined {
  let told: Partial<Run> & Partial<Outcome>
  try {
    told = JSON.parse(line)
  } catch (error) {
    throw new Refusal('Malformed', `${where}: no JSON (${(error as Error).message}); run this shard again`)
  }
  if (told.outcome !== undefined && told.curves !== undefined) return { outcome: told.outcome, curves: told.curves }
  return told.trace === undefined || told.seed === undefined
    ? undefined
    : { outcome: told as Outcome, curves: NO_CURVES }
}
