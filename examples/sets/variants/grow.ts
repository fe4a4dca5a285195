/** GrowSet → IntSet. */
import spec from '../grow/v2/spec.ts'
import { always, type Family, refusing } from './variant.ts'

const insert = 'insert(1)@1'
const remove = 'delete(1)@2'

export default {
  upgrade: 'GrowSet → IntSet',
  from: 1,
  to: 2,
  shipped: {
    old: 'grow/v1/grow-set.ts',
    new: 'grow/v2/int-set.ts',
    future: 'grow/v2/future-int-set.ts',
    past: 'grow/v2/past-grow-set.ts',
    transform: 'grow/v2/transform.ts'
  },
  spec,
  variants: [
    {
      design: 'insert intercepted before, delete after; the TF hands on what was deleted',
      expected: { is: 'correct' }
    },
    {
      design: 'future: direct, refuses delete',
      future: 'variants/grow/never-deletes.ts',
      spec: refusing(spec, { before: { delete: always } }),
      expected: { is: 'correct' }
    },
    {
      design: 'future: direct, refuses delete of what is there',
      future: 'variants/grow/deletes-absent.ts',
      spec: refusing(spec, { before: { delete: (_grown, set, x) => set.includes(x) } }),
      expected: { is: 'correct' }
    },
    {
      design: 'future: direct, own table of deletions, refuses nothing',
      future: 'variants/grow/own-table.ts',
      expected: {
        is: 'wrong',
        rule: 'sequence',
        history: [insert, remove, insert, 'contains(1)@2'],
        answers: 'false',
        must: 'true'
      }
    },
    {
      design: 'interceptors, the TF does not hand on what was deleted',
      transform: 'variants/grow/transform-forgets.ts',
      expected: {
        is: 'wrong',
        rule: 'type',
        history: [insert, remove, '*upgrade*', 'contains(1)@1'],
        answers: 'false',
        must: 'true'
      }
    },
    {
      design: 'past: direct, refuses contains',
      past: 'variants/grow/past-never-tells.ts',
      spec: refusing(spec, { after: { contains: always } }),
      expected: { is: 'correct' }
    },
    {
      design: 'past: direct, refuses contains of what is not there',
      past: 'variants/grow/past-tells-present.ts',
      spec: refusing(spec, { after: { contains: (_grown, set, x) => !set.includes(x) } }),
      expected: { is: 'correct' }
    },
    {
      design: 'past: direct, contains passes through',
      past: 'variants/grow/past-passes-through.ts',
      expected: {
        is: 'wrong',
        rule: 'type',
        history: [insert, '*upgrade*', remove, 'contains(1)@1'],
        answers: 'false',
        must: 'true'
      }
    }
  ]
} satisfies Family
