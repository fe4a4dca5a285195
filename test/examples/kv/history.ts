/**
 * Is a history of one key linearizable? A search after Wing and Gong: some order of the operations, each at one instant
 * between its call and its reply, must explain every reply. Every write has a value of its own, so what a
 * compare-and-set expected is known by value. An operation without a reply may have had its effect at any time, or never.
 */
export type Operation = {
  what: string
  calledAt: number
  /** Infinity: no reply; the effect may be missing. */
  repliedAt: number
  /** The value after it, or undefined if it cannot be executed with this reply on `value`. */
  apply(value: string | null): { value: string | null } | undefined
}

export function explain(operations: Operation[]): boolean {
  const refuted = new Set<string>()
  const search = (done: bigint, value: string | null): boolean => {
    const rest = operations.filter((_, i) => !(done & (1n << BigInt(i))))
    if (rest.every((one) => one.repliedAt === Number.POSITIVE_INFINITY)) return true
    const state = `${done}:${value}`
    if (refuted.has(state)) return false
    const firstReply = Math.min(...rest.map((one) => one.repliedAt))
    for (const [i, one] of operations.entries()) {
      if (done & (1n << BigInt(i)) || one.calledAt > firstReply) continue
      const next = one.apply(value)
      if (next && search(done | (1n << BigInt(i)), next.value)) return true
    }
    refuted.add(state)
    return false
  }
  return search(0n, null)
}
