/** Which share of a sweep's runs is this process's (SPEC M30): as told, or as the batch engine that started it says. */
import { Refusal } from '../src/errors.ts'

/** Of `count` shards the one with this index, from 0 on. */
export interface Shard {
  index: number
  count: number
}

const wholeIn = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined

/** `2/8`: the second of eight. @throws Refusal Usage */
export function shardOf(text: string): Shard {
  const [index, count, ...more] = text.split('/').map(wholeIn)
  if (index === undefined || count === undefined || more.length > 0 || index < 1 || index > count)
    throw new Refusal('Usage', `--shard ${text}: write it as I/N, with I from 1 to N (like 2/8)`)
  return { index: index - 1, count }
}

/**
 * A Kubernetes Indexed Job numbers its pods from 0, and does not tell how many there are: the manifest passes its
 * `completions` on as JOB_COMPLETIONS. A Slurm array begins where its user likes. Undefined outside of both.
 */
export function shardIn(environment: NodeJS.ProcessEnv): Shard | undefined {
  const { JOB_COMPLETION_INDEX, JOB_COMPLETIONS } = environment
  const { SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_COUNT, SLURM_ARRAY_TASK_MIN } = environment
  const pod = within(wholeIn(JOB_COMPLETION_INDEX), wholeIn(JOB_COMPLETIONS))
  if (pod !== undefined) return pod
  const first = wholeIn(SLURM_ARRAY_TASK_MIN) ?? 0
  const task = wholeIn(SLURM_ARRAY_TASK_ID)
  return within(task === undefined ? undefined : task - first, wholeIn(SLURM_ARRAY_TASK_COUNT))
}

const within = (index: number | undefined, count: number | undefined): Shard | undefined =>
  index !== undefined && count !== undefined && index >= 0 && index < count ? { index, count } : undefined

/** Every count-th: runs of one variant lie side by side and take equally long, so that shards do. */
export const sharded = <T>(all: readonly T[], { index, count }: Shard): T[] =>
  all.filter((_, at) => at % count === index)
