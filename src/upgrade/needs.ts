/**
 * What a class's code needs beyond its state (SPEC H11): the network, files of the node. It stands in the signed entry,
 * and a confined process gets it only where the node's operator allows it, too.
 */
import { z } from 'zod'

const MAX_FILES = 16

/** An absolute path without turns: what is allowed is told by its text. */
export const filePathSchema = z
  .string()
  .max(200)
  .regex(/^(\/(?!\.{1,2}(\/|$))[^/\0]+)+$/, 'an absolute path, without ".", ".." or "//"')

export const needsSchema = z.strictObject({
  network: z.literal(true).optional(),
  /** Files and directories that it reads; it may not write them. */
  files: z.array(filePathSchema).min(1).max(MAX_FILES).optional()
})

export type Needs = z.infer<typeof needsSchema>

/** What an operator allows: the network, or to read a path and all below it. */
export const NETWORK = 'network'

const covers = (allowed: readonly string[], path: string): boolean =>
  allowed.some((one) => path === one || path.startsWith(`${one}/`))

/** Of what code needs, the first thing that is not allowed; undefined if all of it is. */
export function firstRefused(needs: Needs, allowed: readonly string[]): string | undefined {
  if (needs.network === true && !allowed.includes(NETWORK)) return NETWORK
  return needs.files?.find((path) => !covers(allowed, path))
}

/** Everything that code needs, as an operator who agrees to all of it would say. */
export const allOf = (needs: Needs | undefined): string[] => [
  ...(needs?.network === true ? [NETWORK] : []),
  ...(needs?.files ?? [])
]

/** What code gets: that which it needs and which is allowed. */
export function granted(needs: Needs | undefined, allowed: readonly string[]): { network: boolean; files: string[] } {
  return {
    network: needs?.network === true && allowed.includes(NETWORK),
    files: (needs?.files ?? []).filter((path) => covers(allowed, path))
  }
}
