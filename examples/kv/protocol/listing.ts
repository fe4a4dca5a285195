/** Pages of keys as the group has them (SPEC K7). */
import { CallError } from '../../../src/errors.ts'
import type { Entry, Page, PageQuery, Row } from './acceptor.ts'
import { compare } from './order.ts'

const MAX_LISTED = 500

/**
 * Cells after `after` that have a value, in order. Where the members of a majority hold the same row, and it is `plain`,
 * that is the answer; otherwise the key is read as any other. One page of each member reaches only so far: beyond the
 * shortest reach nothing is said yet, and the next pages are asked.
 */
export async function collect<E extends Entry>(
  query: { prefix?: string; after?: string; limit?: number },
  ask: (query: PageQuery) => Promise<Page<E>>[],
  read: (cell: string) => Promise<E | null>,
  plain: (entry: E) => boolean = () => true
): Promise<[cell: string, entry: E][]> {
  const limit = Math.max(1, Math.min(query.limit ?? MAX_LISTED, MAX_LISTED))
  const found: [string, E][] = []
  for (let after: string | null = query.after ?? ''; after !== null && found.length < limit; ) {
    const pages: Page<E>[] = await majorityOf(ask({ prefix: query.prefix ?? '', after }))
    const reach =
      pages
        .map((page) => page.next)
        .filter((next) => next !== null)
        .sort(compare)[0] ?? null
    const rows = new Map<string, Row<E>[]>()
    for (const page of pages) {
      for (const [cell, row] of page.rows) {
        if (reach === null || compare(cell, reach) <= 0) rows.set(cell, [...(rows.get(cell) ?? []), row])
      }
    }
    for (const [cell, held] of [...rows].sort(([a], [b]) => compare(a, b))) {
      if (found.length === limit) break
      const same = held.length === pages.length && held.every((row) => row.ballot === held[0]!.ballot)
      const entry = same && plain(held[0]!.entry) ? held[0]!.entry : await read(cell)
      if (entry && entry.value !== null) found.push([cell, entry])
    }
    after = reach
  }
  return found
}

async function majorityOf<E extends Entry>(answers: Promise<Page<E>>[]): Promise<Page<E>[]> {
  const needed = Math.floor(answers.length / 2) + 1
  const good: Page<E>[] = []
  const failures: unknown[] = []
  await new Promise<void>((resolve) => {
    for (const answer of answers) {
      answer
        .then(
          (page) => (page.joined ? good.push(page) : failures.push(new Error('a member is still empty'))),
          (failure) => failures.push(failure)
        )
        .then(() => {
          if (good.length >= needed || failures.length > answers.length - needed) resolve()
        })
    }
  })
  if (good.length >= needed) return good.slice(0, needed)
  throw new CallError('OutcomeUnknown', 'no majority of the group answered; try again', { cause: failures[0] })
}
