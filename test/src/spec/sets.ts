/** IntSet → ColorSet as code under check, in memory, with variants of its parts. */

import IntSet from '../../../examples/sets/v1/int-set.ts'
import ColorSet from '../../../examples/sets/v2/color-set.ts'
import FutureColorSet from '../../../examples/sets/v2/future-color-set.ts'
import PastIntSet from '../../../examples/sets/v2/past-int-set.ts'
import transform from '../../../examples/sets/v2/transform.ts'
import { MemoryStage } from '../../../src/spec/memory.ts'
import type { CheckedCode } from '../../../src/spec/subject.ts'
import type { HostedObject, TransformFunction } from '../../../src/versions/types.ts'
import { interceptsOf, interfaceOf } from '../../fixtures/sets/links.ts'

export { FutureColorSet, PastIntSet, transform }

const simulation = (Code: any) => ({
  interface: interfaceOf(Code),
  intercepts: interceptsOf(Code),
  ...(typeof Code.prototype.effects === 'function' ? { effects: true } : {}),
  construct: (context: any) => new Code(context)
})

export function sets(parts: { future?: any; past?: any; transform?: TransformFunction; next?: any } = {}): CheckedCode {
  const Future = parts.future === undefined ? FutureColorSet : parts.future
  const Past = parts.past === undefined ? PastIntSet : parts.past
  const Next = parts.next ?? ColorSet
  return {
    from: 1,
    to: 2,
    old: {
      className: 'IntSet',
      interface: interfaceOf(IntSet),
      construct: (context) => new IntSet(context) as HostedObject
    },
    new: { className: 'ColorSet', interface: interfaceOf(Next), construct: (context) => new Next(context) },
    future: Future === null ? null : simulation(Future),
    past: Past === null || Past === 'subtype' ? Past : simulation(Past),
    transform: parts.transform ?? transform
  }
}

export const inMemory = (code: CheckedCode): MemoryStage =>
  new MemoryStage(code, { defer: (callback) => queueMicrotask(callback) })
