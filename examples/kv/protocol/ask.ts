/** One message to every member of the group (SPEC K3): oneself first, by an own method, the others by a call. */
import { CallError } from '../../../src/errors.ts'
import type { ObjectContext, Value } from '../../../src/versions/types.ts'

/** A member that does not answer in time counts as away for this message. Milliseconds. */
export const PEER_TIMEOUT_MS = 2_000

export function askAll(context: ObjectContext, className: string, method: string, args: any[]): Promise<any>[] {
  const members = context.members()
  // Without a group a node stands for itself; in a group whose roster it has not heard of it must not (K1).
  if (members.length === 0) return [context.group === null ? own(context, method, args) : noRoster(context.group)]
  return members
    .toSorted((a, b) => Number(b.self) - Number(a.self))
    .map(({ peer, self }) =>
      self
        ? own(context, method, args)
        : context.call(className, method, args as Value[], { to: { peer }, timeoutMs: PEER_TIMEOUT_MS })
    )
}

async function noRoster(group: string): Promise<never> {
  throw new CallError('Unavailable', `group ${group} has no roster yet; sign one with: upstart roster`, {
    retryAfterMs: 500
  })
}

async function own(context: ObjectContext, method: string, args: any[]): Promise<any> {
  return context.self[method](...args)
}
