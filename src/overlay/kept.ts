/** What a snapshot holds of objects, and which of them a peer hosts (SPEC O1, T6). */
import { SmallMap } from '../small.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import { emptyObject, type ObjectState } from './lifecycle.ts'

/** By object. What a store of an earlier commit lacks has its default. */
export function keptObjects(snapshot: ReadonlyMap<string, unknown>): SmallMap<string, ObjectState> {
  const states = new SmallMap<string, ObjectState>()
  for (const [key, value] of snapshot) {
    if (!key.startsWith('object/')) continue
    const state = value as ObjectState
    states.set(state.object, { ...emptyObject(state.object), ...state })
  }
  return states
}

/** Values of the snapshot whose keys begin so, in the order of the keys. */
export const keptBytes = (snapshot: ReadonlyMap<string, unknown>, prefix: string): Uint8Array[] =>
  [...snapshot.keys()]
    .filter((key) => key.startsWith(prefix))
    .sort()
    .map((key) => snapshot.get(key) as Uint8Array)

/** Objects that a peer of these classes hosts, those with state and those that the log brings. */
export function* hostedStates(
  states: ReadonlyMap<string, ObjectState>,
  log: UpgradeLog,
  classes: readonly string[] | null
): IterableIterator<ObjectState> {
  for (const object of new Set([...states.keys(), ...log.schema.lineages.keys()])) {
    const state = states.get(object) ?? emptyObject(object)
    // A class may have come with a branch that the fleet disputes since: what runs it stays in service (T6).
    const schema = state.current === null ? log.schema : log.schemaOf(state.current.entry)
    if (schema.versions(object).some((one) => classes?.includes(one.className) ?? true)) yield state
  }
}
