/** One message to every member of the group (SPEC K3): oneself first, by an own method, the others by a call. */
import type { ObjectContext, Value } from '../../../src/versions/types.ts'

/** A member that does not answer in time counts as away for this message. Milliseconds. */
export const PEER_TIMEOUT_MS = 2_000

export function askAll(context: ObjectContext, className: string, method: string, args: any[]): Promise<any>[] {
  const members = context.members()
  // Without a roster, or without a group, a member stands for itself (K1).
  if (members.length === 0) return [own(context, method, args)]
  return members
    .toSorted((a, b) => Number(b.self) - Number(a.self))
    .map(({ peer, self }) =>
      self
        ? own(context, method, args)
        : context.call(className, method, args as Value[], { to: { peer }, timeoutMs: PEER_TIMEOUT_MS })
    )
}

async function own(context: ObjectContext, method: string, args: any[]): Promise<any> {
  return context.self[method](...args)
}
