import { defineSpec } from '../../../../src/spec/index.ts'
import { added, GrowSet, IntSet } from '../../models.ts'

/** No effect of a GrowSet's own could stand for a deletion, so the old set may have more elements than the new one. */
export default defineSpec({
  old: GrowSet,
  new: IntSet,
  invariant: (grown, set) => set.every((x) => grown.includes(x)),
  mapping: (grown) => grown,
  shadows: {
    old: { insert: added, delete: (grown, _x) => grown },
    new: { insert: added }
  }
})
