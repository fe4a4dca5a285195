/** IntSet → ColorSet. */
import spec from '../v2/spec.ts'
import { always, type Family, refusing, type Variant } from './variant.ts'

const onlyBlue = refusing(spec, { before: { insertColor: (_set, _colors, _x, c) => c !== 'blue' } })
const noColors = refusing(spec, { before: { getColor: always } })
const nothing = refusing(spec, {
  before: { insertColor: always, delete: always, contains: always, getColor: always },
  after: { insert: always, delete: always, contains: always }
})

const red = 'insertColor(1, red)@2'
const get = 'getColor(1)@2'
/** The colour of an element that was deleted and inserted again behind the SO's back. */
const reborn = [red, 'delete(1)@1', 'insert(1)@1']
const sequence = (history: readonly string[], answers: string, must: string) =>
  ({ is: 'wrong', rule: 'sequence', history, answers, must }) as const

const futures: Variant[] = [
  {
    design: 'future: direct, own table of colours, refuses nothing',
    future: 'variants/color/own-table.ts',
    expected: sequence([...reborn, get], 'red', 'blue')
  },
  {
    design: 'future: direct, no table, refuses all colours but blue',
    future: 'variants/color/blue-only.ts',
    spec: onlyBlue,
    expected: { is: 'correct' }
  },
  {
    design: 'the same, says blue of absent elements, too',
    future: 'variants/color/always-blue.ts',
    spec: onlyBlue,
    expected: sequence([get], 'blue', 'null')
  },
  {
    design: 'future: direct, no table, refuses getColor instead',
    future: 'variants/color/no-table.ts',
    spec: noColors,
    expected: sequence([red, '*upgrade*', get], 'blue', 'red')
  },
  {
    design: 'the same with a table that only the TF uses',
    future: 'variants/color/hidden-table.ts',
    spec: noColors,
    expected: sequence([...reborn, '*upgrade*', get], 'red', 'blue')
  },
  {
    design: 'the same, and the new object refuses getColor as well',
    future: 'variants/color/hidden-table.ts',
    new: 'variants/color/refusing-object.ts',
    spec: noColors,
    expected: { is: 'wrong', rule: 'disallow', history: ['*upgrade*', get], answers: 'Disallowed', must: 'null' }
  }
]

const interceptors: Variant[] = [
  {
    design: 'future: interceptor, forgets on delete and on an insert that finds x absent',
    expected: { is: 'correct' }
  },
  {
    design: 'the same, intercepts delete only',
    future: 'variants/color/forgets-on-delete.ts',
    expected: { is: 'correct' }
  },
  {
    design: 'the same, intercepts insert only',
    future: 'variants/color/forgets-on-insert.ts',
    expected: { is: 'correct' }
  },
  {
    design: 'interceptor, insert forgets whether x is there or not',
    future: 'variants/color/forgets-always.ts',
    expected: sequence([red, 'insert(1)@1', get], 'blue', 'red')
  },
  {
    design: 'interceptor of insert that looks only when it has happened',
    future: 'variants/color/told-afterwards.ts',
    expected: sequence([...reborn, get], 'red', 'blue')
  },
  {
    design: 'interceptor, the TF maps anew instead of using the table',
    transform: 'variants/color/transform-anew.ts',
    expected: sequence([red, '*upgrade*', get], 'blue', 'red')
  },
  {
    design: 'interceptor, its table is volatile',
    future: 'variants/color/volatile-table.ts',
    expected: sequence([red, '*upgrade*', get], 'blue', 'red')
  },
  {
    design: 'the same, across a restart',
    future: 'variants/color/volatile-table.ts',
    where: 'restarts',
    expected: sequence([red, '*restart*', get], 'blue', 'red')
  },
  {
    design: 'interceptor that offers its own delegate calls to itself',
    future: 'variants/color/intercepts-itself.ts',
    expected: sequence([red, get], 'blue', 'red')
  }
]

const files = {
  old: 'variants/color/file-int-set.ts',
  transform: 'variants/color/transform-files.ts',
  where: 'disk'
} as const

const crashes: Variant[] = [
  {
    design: 'interceptor of insert, all in files: puts the colour first, deletes the element first',
    ...files,
    future: 'variants/color/file-table.ts',
    expected: { is: 'correct' }
  },
  {
    design: 'the same, always the table first',
    ...files,
    future: 'variants/color/table-first.ts',
    expected: sequence([red, 'delete(1)@2 killed', get], 'blue', 'red')
  },
  {
    design: 'the same, always the object first',
    ...files,
    future: 'variants/color/object-first.ts',
    expected: sequence(['insertColor(1, red)@2 killed', get], 'blue', 'null')
  },
  {
    design: 'the right orders, intercepts delete instead of insert',
    ...files,
    future: 'variants/color/orders-only.ts',
    expected: sequence(['insertColor(1, red)@2 killed', get, 'insert(1)@1', get], 'red', 'blue')
  }
]

const pasts: Variant[] = [
  { design: 'past: direct, insert makes blue what is absent, the rest passes through', expected: { is: 'correct' } },
  {
    design: 'the same without "if absent"',
    past: 'variants/color/without-if-absent.ts',
    expected: sequence(['*upgrade*', red, 'insert(1)@1', get], 'blue', 'red')
  },
  {
    design: 'the same, other mutators may run between its two calls',
    past: 'variants/color/concurrent-insert.ts',
    expected: sequence(['*upgrade*', `insert(1)@1 || ${red}`, get], 'blue', 'red')
  },
  {
    design: "the same, claims that callers' nodes may host insert, which makes two delegate calls",
    past: 'variants/color/stateless-insert.ts',
    where: 'callers',
    expected: {
      is: 'wrong',
      rule: 'type',
      history: ['*upgrade*', 'insert(1)@1'],
      answers: 'NotStateless',
      must: 'null'
    }
  },
  {
    design: 'the same, claims that of delete and contains, which make one',
    past: 'variants/color/stateless-rest.ts',
    where: 'callers',
    expected: { is: 'correct' }
  },
  {
    design: "past: 'subtype'",
    past: 'subtype',
    expected: {
      is: 'wrong',
      rule: 'disallow',
      history: ['*upgrade*', 'insert(1)@1'],
      answers: 'NoSuchMethod',
      must: 'null'
    }
  },
  {
    design: 'both SOs refuse everything',
    future: 'variants/color/future-refuses.ts',
    past: 'variants/color/past-refuses.ts',
    spec: nothing,
    expected: {
      is: 'correct',
      droppable: [
        'insertColor before',
        'delete before',
        'contains before',
        'getColor before',
        'insert after',
        'delete after',
        'contains after'
      ]
    }
  }
]

export default {
  upgrade: 'IntSet → ColorSet',
  from: 1,
  to: 2,
  shipped: {
    old: 'v1/int-set.ts',
    new: 'v2/color-set.ts',
    future: 'v2/future-color-set.ts',
    past: 'v2/past-int-set.ts',
    transform: 'v2/transform.ts'
  },
  spec,
  variants: [...futures, ...interceptors, ...crashes, ...pasts]
} satisfies Family
